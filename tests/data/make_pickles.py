# Makes arrays-p0.pkl, arrays-p2.pkl and arrays-p4.pkl, the fixtures of test_npz: python3 make_pickles.py
# (needs numpy and scipy). A class of the name chumpy.ch.Ch stands for the real one.
import pickle, sys, types
import numpy as np
import scipy.sparse

chumpy, ch = types.ModuleType('chumpy'), types.ModuleType('chumpy.ch')
class Ch:
    pass
Ch.__module__, Ch.__qualname__ = 'chumpy.ch', 'Ch'
ch.Ch, chumpy.ch = Ch, ch
sys.modules.update({'chumpy': chumpy, 'chumpy.ch': ch})
shape = Ch()
shape.x = np.arange(12, dtype='f8').reshape(2, 3, 2)
data = {
    'v_template': np.arange(6, dtype='f8').reshape(2, 3) / 4,
    'fortran': np.asfortranarray(np.arange(6, dtype='f4').reshape(2, 3)),
    'f': np.array([[0, 1, 200]], dtype='u4'),
    'J_regressor': scipy.sparse.csc_matrix(np.array([[0, 2, 0], [1.5, 0, -3]])),
    'rows': scipy.sparse.csr_matrix(np.array([[0, 2, 0], [1.5, 0, -3]])),
    'shapedirs': shape,
    'bs_style': 'lbs',
    'objects': np.array([{}, 1], dtype=object),
    'nothing': None,
}
for protocol in (0, 2, 4):
    with open(f'arrays-p{protocol}.pkl', 'wb') as f:
        pickle.dump(data, f, protocol=protocol)
