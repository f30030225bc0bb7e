#!/usr/bin/env python3
# Makes regressor-sparse.pt and regressor-dense.pt, fixtures of test_body (needs PyTorch): one 3 x 5 matrix twice.
import torch

m = torch.zeros(3, 5)
m[0, 4], m[1, 0], m[1, 2], m[2, 3] = 1.5, 0.25, 0.75, -2
torch.save(m, 'regressor-dense.pt')
torch.save(m.to_sparse().coalesce(), 'regressor-sparse.pt')
