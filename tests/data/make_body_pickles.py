#!/usr/bin/env python3
# Writes the pickled bodies of test_body.c (needs numpy): one tiny body as Python 3 writes it in protocols 2 and 4,
# and as Python 2 wrote it (bytes as BINSTRING), which is how the SMPL family was published.
#   cd tests/data && python3 make_body_pickles.py
import pickle
import numpy as np

PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15, 20, 25, 26, 20, 28,
           29, 20, 31, 32, 20, 34, 35, 20, 37, 38, 21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53]
V = 8
v, c, k, j = np.arange(V), np.arange(3), np.arange(12), np.arange(55)
body = {
    'v_template': v[:, None] + 0.25 * c[None],
    'shapedirs': v[:, None, None] + 0.5 * c[None, :, None] + k[None, None] / 64,
    'J_regressor': np.asfortranarray((v[None] == j[:, None] % V).astype('f8')),
    'weights': (j[None] == 5 * v[:, None]).astype('f4'),
    'kintree_table': np.array([[2**32 - 1] + PARENTS[1:], list(range(55))], 'u4'),
    'f': np.array([[0, 1, 2], [3, 4, 200 - 193]], 'u4'),
    'hands_meanl': np.arange(45) / 128.0,
    'hands_meanr': -np.arange(45) / 128.0,
    'joint2num': {'Pelvis': 0},
    'vt': None,
}


class Python2(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, obj):
        self.write(b'U' + bytes([len(obj)]) if len(obj) < 256 else b'T' + len(obj).to_bytes(4, 'little'))
        self.write(obj)
        self.memoize(obj)

    dispatch[bytes] = save_bytes


for name, pickler, protocol in [('body_protocol2.pkl', pickle.Pickler, 2), ('body_protocol4.pkl', pickle.Pickler, 4),
                                ('body_python2.pkl', Python2, 2)]:
    with open(name, 'wb') as f:
        pickler(f, protocol).dump(body)


# SMPL as it was published: 24 joints, arrays of the chumpy package, a sparse regressor. The classes are stand-ins of
# the same names, since only names and states are in the file.
import copyreg
import functools
import sys
import types


@functools.cache
def stand_in(module, name):
    reduce = lambda self, protocol: (copyreg._reconstructor, (cls, object, None), self.__dict__)
    cls = type(name, (), {'__module__': module, '__reduce_ex__': reduce})
    for parent in ['chumpy', 'scipy', 'scipy.sparse', module]:
        sys.modules.setdefault(parent, types.ModuleType(parent))
    setattr(sys.modules[module], name, cls)
    return cls


def chumpy(x):
    c = stand_in('chumpy.ch', 'Ch')()
    c.__dict__ = {'x': x, 'dterms': ()}
    return c


def csc(a):
    m = stand_in('scipy.sparse.csc', 'csc_matrix')()
    columns = [np.nonzero(a[:, i])[0] for i in range(a.shape[1])]
    m.__dict__ = {'_shape': a.shape, 'format': 'csc', 'maxprint': 50,
                  'data': np.concatenate([a[r, i] for i, r in enumerate(columns)]),
                  'indices': np.concatenate(columns).astype('i4'),
                  'indptr': np.cumsum([0] + [len(r) for r in columns]).astype('i4')}
    return m


j = np.arange(24)
features = np.zeros((V, 3, 207))
features[:, :, 0] = 1  # of joint 1
features[:, :, 189] = 2  # of joint 22, the left hand
smpl = {
    'v_template': chumpy(v[:, None] + 0.25 * c[None]),
    'shapedirs': chumpy(v[:, None, None] + 0.5 * c[None, :, None] + k[None, None] / 64),
    'posedirs': features,
    'J_regressor': csc((v[None] == j[:, None] % V).astype('f8')),
    'weights': (j[None] == 3 * v[:, None] + 2).astype('f8'),
    'kintree_table': np.array([[2**32 - 1] + PARENTS[1:22] + [20, 21], list(range(24))], 'i8'),
    'f': body['f'],
    'bs_type': 'lrotmin',
}
with open('body_smpl.pkl', 'wb') as f:
    Python2(f, 2).dump(smpl)
