"""Arrays in and out: that nothing is copied, by address, and that what is needed stays alive."""
import gc
import sys
import unittest
import weakref

from support import TRAIN, amun, blobs, linear, np

from amun import _base, _dlpack

try:
    import torch
except ImportError:
    torch = None


def address(pointer):
    return int(_base.ffi.cast("uintptr_t", pointer))


class Producer:
    """An array of a library that NumPy knows nothing of: DLPack is all it has."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()


class Views(unittest.TestCase):
    def test_views_do_not_copy(self):
        array = np.zeros((4, 3, 2), np.float32)[::2, ::-1]
        view = _base.View(array)
        self.assertEqual(address(view.struct.data), array.ctypes.data)
        self.assertEqual(list(view.struct.strides)[:3], list(array.strides))
        self.assertEqual(view.struct.flags, 0)
        array.flags.writeable = False
        self.assertEqual(_base.View(array).struct.flags, _base.lib.AMUN_VIEW_READONLY)

    def test_buffers(self):
        raw = bytearray(range(16))
        view = _base.View(memoryview(raw).cast("B", (4, 4)))
        self.assertEqual(view.struct.dtype, amun.Dtype.U8)
        raw[0] = 77
        self.assertEqual(_base.ffi.cast("uint8_t *", view.struct.data)[0], 77)

    def test_what_is_refused(self):
        for array in (np.zeros(3, ">f4"), np.zeros(3, np.complex64), np.array(["a"])):
            with self.assertRaises(TypeError):
                _base.View(array)
        with self.assertRaises(amun.ShapeError):
            _base.View(np.zeros((1,) * 9))
        with self.assertRaises(TypeError):
            _base.View([1.0], writable=True)
        with self.assertRaises(TypeError):
            _base.indices_of([0.5], "indices")
        with self.assertRaises(amun.ShapeError):
            _base.indices_of([[1]], "indices")
        with self.assertRaisesRegex(TypeError, "indices: expected numbers, got TrainOptions"):
            _base.indices_of(amun.TrainOptions(), "indices")
        with self.assertRaisesRegex(TypeError, "scores"):
            _base.vector(["a"], np.float64, "scores")

    def test_other_element_types_are_named(self):
        with self.assertRaisesRegex(amun.AmunError, "images: dtype F64, .*F32 or U8"):
            linear().predict(np.zeros((1, 1, 4, 4)))
        with self.assertRaisesRegex(amun.AmunError, "images: dtype I32"):
            amun.Dataset.from_arrays(np.zeros((1, 1, 4, 4), np.int32))

    def test_unaligned(self):
        raw = np.zeros(9, np.uint8)
        array = raw[1:].view(np.float32)
        array[:] = 1, 2
        view = _base.View(array)
        self.assertEqual(_base.ffi.cast("float *", view.struct.data)[1], 2)
        with self.assertRaises(TypeError):
            _base.View(array, writable=True)

    def test_vectors_are_copied_only_if_they_must(self):
        dense = np.arange(6)
        array, start = _base.vector(dense, np.int64, "x")
        self.assertEqual((array.ctypes.data, address(start)), (dense.ctypes.data,) * 2)
        for other in (dense[::2], dense.astype(np.int32)):
            array, start = _base.vector(other, np.int64, "x")
            self.assertNotEqual(address(start), other.ctypes.data)
            np.testing.assert_array_equal(array, other)


class DLPackIn(unittest.TestCase):
    def test_addresses_types_strides(self):
        for kind in ("f4", "f8", "f2", "u1", "i4", "i8"):
            source = np.zeros((6, 4), kind)[::2, ::-1]
            view = _base.View(Producer(source))
            self.assertEqual(address(view.struct.data), source.ctypes.data, kind)
            self.assertEqual(list(view.struct.shape)[:2], [3, 4])
            self.assertEqual(list(view.struct.strides)[:2], list(source.strides))
            self.assertEqual(view.struct.dtype, _base.View(source).struct.dtype)
        vector = np.arange(3)
        self.assertEqual(address(_base.indices_of(Producer(vector), "x")[1]), vector.ctypes.data)

    def test_memory_lives_as_long_as_the_view(self):
        source = np.arange(12, dtype=np.float32)
        held = sys.getrefcount(source)
        view = _base.View(Producer(source))
        gc.collect()
        self.assertGreater(sys.getrefcount(source), held)
        part = view.array[2:]
        del view
        gc.collect()
        self.assertGreater(sys.getrefcount(source), held)
        self.assertEqual(part[0], 2)
        del part
        gc.collect()
        self.assertEqual(sys.getrefcount(source), held)  # the deleter has run, once

    def test_a_data_set_keeps_it(self):
        images, labels = blobs(20)
        held = sys.getrefcount(images)
        data = amun.Dataset.from_arrays(Producer(images), Producer(labels))
        gc.collect()
        images[3, 0, 0, 0] = 0.125  # not for users; it shows whose memory is read
        self.assertEqual(data.read(3, 1)[0, 0, 0, 0], 0.125)
        self.assertGreater(sys.getrefcount(images), held)
        data.close()
        gc.collect()
        self.assertEqual(sys.getrefcount(images), held)

    def test_refusals(self):
        array = np.zeros(3, np.float32)
        with self.assertRaisesRegex(TypeError, "images: lies on device .*2, 1.*copy it there"):
            _base.View(Producer(array, (2, 1)), what="images")
        with self.assertRaisesRegex(TypeError, "code 5 with 64 bits"):
            _base.View(Producer(np.zeros(3, np.complex64)))
        with self.assertRaisesRegex(TypeError, "code 0 with 16 bits"):
            _base.View(Producer(np.zeros(3, np.int16)))

        class Wrong(Producer):
            def __dlpack__(self, stream=None):
                return 3

        with self.assertRaisesRegex(TypeError, "no DLPack capsule"):
            _base.View(Wrong(array))

        class Unable(Producer):
            def __dlpack__(self, stream=None):
                raise BufferError("sparse")

        with self.assertRaisesRegex(TypeError, "scores.*not supported|scores: sparse"):
            _base.View(Unable(array), what="scores")

    def test_versions(self):
        """The capsule of DLPack 1, as NumPy 2 makes it, built by hand."""
        import ctypes
        source = np.arange(6, dtype=np.float32).reshape(2, 3)
        ffi = _dlpack.ffi
        managed, shape = ffi.new("DLManagedTensorVersioned *"), ffi.new("int64_t[]", [2, 2])
        strides = ffi.new("int64_t[]", [3, 1])
        api = ctypes.pythonapi
        api.PyCapsule_New.restype = ctypes.py_object
        api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

        class Versioned:
            def __dlpack__(self, stream=None, max_version=None):
                assert max_version == (1, 0)
                return api.PyCapsule_New(int(ffi.cast("uintptr_t", managed)),
                                         b"dltensor_versioned", None)

        managed.major, managed.flags = 1, 1
        tensor = managed.dl_tensor
        tensor.data = ffi.cast("void *", source.ctypes.data)
        tensor.byte_offset, tensor.shape, tensor.strides, tensor.ndim = 4, shape, strides, 2
        tensor.device.device_type = 1
        tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes = 2, 32, 1
        view = _base.View(Versioned())
        self.assertEqual(address(view.struct.data), source.ctypes.data + 4)
        np.testing.assert_array_equal(view.array, source[:, 1:])
        self.assertEqual(view.struct.flags, _base.lib.AMUN_VIEW_READONLY)
        with self.assertRaises(TypeError):
            _base.View(Versioned(), writable=True)
        managed.major = 2
        with self.assertRaisesRegex(TypeError, "DLPack 2"):
            _base.View(Versioned())
        managed.major, tensor.strides = 1, ffi.NULL
        tensor.byte_offset = 0
        np.testing.assert_array_equal(_base.View(Versioned()).array, [[0, 1], [2, 3]])


class Out(unittest.TestCase):
    def setUp(self):
        self.images, self.labels = blobs(12)
        self.data = amun.Dataset.from_arrays(self.images, self.labels)
        self.model = linear()

    def test_where_to_write(self):
        places = [(np.empty((12, 1, 4, 4), np.float32), lambda out: self.data.read(out=out)),
                  (np.empty(12, np.int64), lambda out: self.data.labels(out=out)),
                  (np.empty((3, 16), np.float32),
                   lambda out: self.model.get_tensor("fc.weight", (3, 16), out=out)),
                  (np.empty((12, 3), np.float32),
                   lambda out: self.model.predict(self.images, out=out)),
                  (np.empty((12, 1, 4, 4), np.float32),
                   lambda out: amun.Attack.fgsm().run(self.model, self.images, self.labels,
                                                      out=out)[0])]
        for room, call in places:
            expected = call(None)
            room[...] = 77
            self.assertIs(call(room), room)
            np.testing.assert_array_equal(room, expected)
            room[...] = 77
            call(Producer(room))  # through DLPack into the same memory
            np.testing.assert_array_equal(room, expected)
            with self.assertRaises((amun.AmunError, TypeError)):
                call(np.empty(room.shape, np.float16))
            with self.assertRaises(amun.ShapeError):
                call(np.empty((room.shape[0] + 1,) + room.shape[1:], room.dtype))
            room.flags.writeable = False
            with self.assertRaises(TypeError):
                call(room)
        with self.assertRaisesRegex(TypeError, "strides"):
            self.data.labels(out=np.empty(24, np.int64)[::2])

    def test_logits_of_any_strides(self):
        wide = np.zeros((12, 6), np.float32)
        self.model.predict(self.images, out=wide[:, ::2])
        np.testing.assert_array_equal(wide[:, ::2], self.model.predict(self.images))
        self.assertFalse(wide[:, 1::2].any())

    def test_records_are_the_librarys_memory(self):
        amun.train(self.model, self.data, **TRAIN)
        advset = amun.AdvSet.build(amun.Attack.search(), self.model, self.data, [1, 2])
        records = advset.records
        self.assertEqual(records.ctypes.data,
                         address(_base.lib.amun_advset_records(advset._c)))
        kept = weakref.ref(advset)
        del advset
        gc.collect()
        self.assertIsNone(kept())
        self.assertEqual(records["index"].tolist(), [1, 2])
        # a column is a view, too; strided, so that only a copy of it leaves by DLPack
        self.assertTrue(np.shares_memory(records["l2"], records))

    def test_results_leave_by_dlpack(self):
        logits = self.model.predict(self.images)
        self.assertEqual(tuple(logits.__dlpack_device__()), (1, 0))
        again = np.from_dlpack(logits)
        self.assertEqual(again.ctypes.data, logits.ctypes.data)


@unittest.skipIf(torch is None, "torch is not installed")
class Torch(unittest.TestCase):
    def test_in(self):
        for tensor in (torch.zeros(2, 3), torch.zeros(4, 6)[::2, 1:4], torch.zeros(2, 3).t(),
                       torch.zeros(3, dtype=torch.uint8), torch.zeros(3, dtype=torch.bool)):
            view = _base.View(tensor)
            self.assertEqual(address(view.struct.data), tensor.data_ptr())
            self.assertEqual([stride // tensor.element_size() for stride in view.array.strides],
                             list(tensor.stride()))
        view = _base.View(torch.ones(2, dtype=torch.bfloat16))
        self.assertEqual((view.struct.dtype, view.array[0]), (amun.Dtype.BF16, 0x3f80))
        indices = torch.tensor([4, 2])
        self.assertEqual(address(_base.indices_of(indices, "x")[1]), indices.data_ptr())
        with self.assertRaisesRegex(TypeError, "images: .*detach"):
            _base.View(torch.zeros(2, requires_grad=True), what="images")
        with self.assertRaisesRegex(TypeError, "images"):
            _base.View(torch.zeros(2, device="meta"), what="images")

    def test_out(self):
        images, labels = blobs(10)
        tensor, model = torch.from_numpy(images.copy()), linear()
        expected = model.predict(images)
        out = torch.zeros(10, 3)
        self.assertIs(model.predict(tensor, out=out), out)
        np.testing.assert_array_equal(out.numpy(), expected)
        back = torch.from_dlpack(model.predict(tensor))  # the only reference to the array
        gc.collect()
        _other = [np.ones((10, 3), np.float32) for _ in range(100)]
        np.testing.assert_array_equal(back.numpy(), expected)
        logits = model.predict(tensor)
        self.assertEqual(torch.from_dlpack(logits).data_ptr(), logits.ctypes.data)
        last = tensor.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # channels last
        np.testing.assert_array_equal(model.predict(last), expected)
        data = amun.Dataset.from_arrays(tensor, torch.from_numpy(labels))
        amun.train(model, data, torch.arange(8), **TRAIN)
        tensor[9, 0, 0, 0] = 0.5
        self.assertEqual(data.read(9, 1)[0, 0, 0, 0], 0.5)
        kept = data.read()
        del tensor
        gc.collect()
        np.testing.assert_array_equal(data.read(), kept)


if __name__ == "__main__":
    unittest.main()
