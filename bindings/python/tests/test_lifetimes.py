"""Handles: any order of release, and that nothing is kept."""
import gc
import unittest
import weakref

from support import TRAIN, amun, blobs, linear

from amun import _base, _data, _handle


class Lifetimes(unittest.TestCase):
    def test_any_order(self):
        context = amun.Context()
        images, labels = blobs(50)
        data = amun.Dataset.from_arrays(images, labels, context=context)
        part = data.subset([4, 2])
        model = linear(context)
        context.close()
        data.close()
        self.assertEqual(part.labels().tolist(), [labels[4], labels[2]])
        self.assertEqual(model.predict(images).shape, (50, 3))

    def test_garbage_collection_gives_back(self):
        context = amun.Context()
        model = linear(context)
        used = context.memory.blocks
        alive = weakref.ref(model)
        del model
        gc.collect()
        self.assertIsNone(alive())
        self.assertLess(context.memory.blocks, used)

    def test_memory_limit(self):
        with amun.Context(memory_limit=2000) as context:
            with self.assertRaises(MemoryError):
                amun.Model.create("resnet18", context=context)


class AThousand(unittest.TestCase):
    """A thousand handles of every type, closed or left to the garbage collector: the context has
    the memory that it had before."""

    @classmethod
    def setUpClass(cls):
        cls.context = amun.Context(threads=1)
        images, labels = blobs(12)
        cls.images, cls.labels = images, labels
        cls.data = amun.Dataset.from_arrays(images, labels, context=cls.context)
        cls.model = linear(cls.context)
        amun.train(cls.model, cls.data, **TRAIN)
        cls.search = amun.Attack.search(context=cls.context)
        cls.other = linear(cls.context, seed=2)

    def makers(self):
        context = self.context
        attacks = [getattr(amun.Attack, name) for name in (
            "fgsm", "ffgsm", "pgd_linf", "pgd_l2", "mim", "apgd", "square", "standard", "search")]
        turn = iter(range(10 ** 9))
        return {
            "amun_context": lambda: amun.Context(threads=1),
            "amun_graph": lambda: amun.Graph(1, 4, 4, context=context),
            "amun_dataset": lambda: amun.Dataset.from_arrays(self.images, self.labels,
                                                             context=context).subset([1, 3]),
            "amun_model": lambda: linear(context).clone(),
            "amun_attack": lambda: attacks[next(turn) % len(attacks)](context=context),
            "amun_advset": lambda: amun.AdvSet.build(self.search, self.model, self.data, [2]),
            "amun_ensemble": lambda: amun.Ensemble([self.model, self.other]),
            "amun_spectrum": lambda: amun.Spectrum(self.model),
            "amun_clipper": lambda: amun.Clipper(self.model),
            "amun_mia": lambda: amun.Mia(self.data, self.data, references=2),
            "amun_report": lambda: amun.Report("d", "a", 1, 2, context=context),
        }

    def test_every_type(self):
        makers = self.makers()
        self.assertEqual(set(makers), {kind._c_name for kind in _base.Handle.__subclasses__()})
        for c_name, make in makers.items():
            self.assertEqual(make()._c_name, c_name)  # the first may fill pools
            gc.collect()
            before, kept = self.context.memory, len(_data._borrowed)
            logs = len(_handle._log_functions)
            for number in range(1000):
                handle = make()
                if number % 2:
                    handle.close()
            del handle
            gc.collect()
            after = self.context.memory
            self.assertEqual((after.current, after.blocks), (before.current, before.blocks), c_name)
            self.assertEqual((len(_data._borrowed), len(_handle._log_functions)), (kept, logs),
                             c_name)

    def test_views_of_records(self):
        """Arrays over a set's records have a reference of their own; it goes with them."""
        make = self.makers()["amun_advset"]
        make().records.sum
        gc.collect()
        before = self.context.memory
        tables = [make().records for _ in range(50)]
        self.assertGreater(self.context.memory.blocks, before.blocks)
        self.assertEqual({int(table["index"][0]) for table in tables}, {2})
        del tables
        gc.collect()
        self.assertEqual(self.context.memory.blocks, before.blocks)

    def test_failures_leave_nothing(self):
        before = self.context.memory
        for _ in range(200):
            for fail in (lambda: amun.Model.create("?", context=self.context),
                         lambda: amun.Dataset.from_arrays(self.images + 7, self.labels,
                                                          context=self.context),
                         lambda: amun.AdvSet.build(self.search, self.model, self.data, [99]),
                         lambda: amun.Attack.fgsm(context=self.context, eps=-1),
                         lambda: amun.Spectrum(self.model, k=0)):
                with self.assertRaises(amun.AmunError):
                    fail()
        gc.collect()
        after = self.context.memory
        self.assertEqual((after.current, after.blocks), (before.current, before.blocks))


if __name__ == "__main__":
    unittest.main()
