"""Attacks and adversarial sets."""
import numpy as np

from ._base import (Call, Clamp, Handle, View, check, default_context, ffi, indices_of, lib,
                    options_class, path_bytes, pointer, vector)

FgsmOptions = options_class("FgsmOptions", "amun_fgsm_options")
FfgsmOptions = options_class("FfgsmOptions", "amun_ffgsm_options")
PgdLinfOptions = options_class("PgdLinfOptions", "amun_pgd_options", "amun_pgd_linf_options_init")
PgdL2Options = options_class("PgdL2Options", "amun_pgd_options", "amun_pgd_l2_options_init")
SearchOptions = options_class("SearchOptions", "amun_search_options")
MimOptions = options_class("MimOptions", "amun_mim_options")
ApgdOptions = options_class("ApgdOptions", "amun_apgd_options")
SquareOptions = options_class("SquareOptions", "amun_square_options")
StandardOptions = options_class("StandardOptions", "amun_standard_options")


def _record_dtype():
    """amun_attack_record as a NumPy type, from its C declaration."""
    kinds = {"int64_t": "i8", "int32_t": "i4", "uint32_t": "u4", "uint64_t": "u8", "double": "f8"}
    fields = ffi.typeof("amun_attack_record").fields
    return np.dtype({"names": [name for name, _ in fields],
                     "formats": [kinds[field.type.cname] for _, field in fields],
                     "offsets": [field.offset for _, field in fields],
                     "itemsize": ffi.sizeof("amun_attack_record")})


RECORD = _record_dtype()


def attack_by(function, attack, victim, images, labels, ids, out, progress):
    """What Attack.run and Ensemble.attack share."""
    images, labels = View(images, what="images"), View(labels, what="labels")
    if out is None:
        out = np.empty(images.array.shape, np.float32)
    adversarial = View(out, writable=True, what="out")
    count = images.array.shape[0] if images.array.ndim else 0
    ids_c = ffi.NULL
    if ids is not None:
        _kept, ids_c = vector(ids, np.int64, "ids", (count,))
    records = np.zeros(count, RECORD)
    Call(progress).run(function, attack._c, victim._c, images.struct, labels.struct, ids_c,
                       adversarial.struct,
                       ffi.cast("amun_attack_record *", records.ctypes.data))
    return out, records


class Attack(Handle):
    """A configured attack. Keyword arguments of each constructor: the fields of its option
    struct. One thread at a time."""
    _c_name = "amun_attack"

    def __init__(self):
        raise TypeError("use Attack.fgsm, ffgsm, pgd_linf, pgd_l2, mim, apgd, square, standard or "
                        "search")

    @classmethod
    def _create(cls, function, options, context):
        context = context or default_context()
        return cls._make(context, function, context._c, options._struct)

    @classmethod
    def fgsm(cls, context=None, **options):
        return cls._create(lib.amun_attack_create_fgsm, FgsmOptions(**options), context)

    @classmethod
    def ffgsm(cls, context=None, **options):
        return cls._create(lib.amun_attack_create_ffgsm, FfgsmOptions(**options), context)

    @classmethod
    def pgd_linf(cls, context=None, **options):
        return cls._create(lib.amun_attack_create_pgd_linf, PgdLinfOptions(**options), context)

    @classmethod
    def pgd_l2(cls, context=None, **options):
        return cls._create(lib.amun_attack_create_pgd_l2, PgdL2Options(**options), context)

    @classmethod
    def search(cls, context=None, **options):
        """The nearest adversarial example: what AMUN forgets with. By growing radii, or with
        method=SearchMethod.DDN or SearchMethod.FMN in a fixed number of `steps`."""
        return cls._create(lib.amun_attack_create_search, SearchOptions(**options), context)

    @classmethod
    def mim(cls, context=None, **options):
        return cls._create(lib.amun_attack_create_mim, MimOptions(**options), context)

    @classmethod
    def apgd(cls, context=None, **options):
        return cls._create(lib.amun_attack_create_apgd, ApgdOptions(**options), context)

    @classmethod
    def square(cls, context=None, **options):
        return cls._create(lib.amun_attack_create_square, SquareOptions(**options), context)

    @classmethod
    def standard(cls, context=None, **options):
        """The worst case of APGD on two losses and Square."""
        return cls._create(lib.amun_attack_create_standard, StandardOptions(**options), context)

    @property
    def clamp(self):
        """Clamp.PIXELS, or Clamp.NORMALISED with legacy_normalised_clamp."""
        return Clamp(lib.amun_attack_clamp(self._c))

    def run(self, model, images, labels, ids=None, out=None, progress=None):
        """(adversarial images, records) of images [n, C, H, W] with true labels [n]. `records` is
        a structured array, one row per image; `out`: where to write the images."""
        return attack_by(lib.amun_attack_run, self, model, images, labels, ids, out, progress)


class AdvSet(Handle):
    """For each forget sample its nearest adversarial example. Immutable."""
    _c_name = "amun_advset"

    def __init__(self):
        raise TypeError("use AdvSet.build or AdvSet.load")

    @classmethod
    def build(cls, attack, model, data, indices, progress=None):
        _kept, start, count = indices_of(indices, "indices")
        out = ffi.new("amun_advset **")
        Call(progress).run(lib.amun_advset_build, out, attack._c, model._c, data._c, start, count)
        return cls._with_shape(out, model)

    @classmethod
    def load(cls, path, data):
        """Reads a set and verifies every record against `data`."""
        out = ffi.new("amun_advset **")
        check(lib.amun_advset_load(out, data._c, path_bytes(path), data.context._c))
        return cls._with_shape(out, data)

    @classmethod
    def _with_shape(cls, out, source):
        self = cls._from(out, source.context)
        self._shape = source.shape
        return self

    def save(self, path):
        check(lib.amun_advset_save(self._c, path_bytes(path)))

    def __len__(self):
        """Records, failed ones included."""
        return lib.amun_advset_count(self._c)

    @property
    def found(self):
        """Samples for which an example was found."""
        return lib.amun_advset_found(self._c)

    @property
    def records(self):
        """The table as a read-only structured array over the library's memory (no copy)."""
        return np.asarray(_Table(self))

    def image(self, i):
        """A copy of the image of record `i`, float32 [C, H, W]; NotFoundError without one."""
        image = np.empty(self._shape, np.float32)
        check(lib.amun_advset_image(self._c, i, pointer(image)))
        return image


class _Table(Handle):
    """Owns a reference for an array over the records, which thus outlives the set's close()."""
    _c_name = "amun_advset"

    def __init__(self, owner):
        self._adopt(lib.amun_advset_ref(owner._c), owner.context)
        count = len(owner)
        address = int(ffi.cast("uintptr_t", lib.amun_advset_records(self._c))) if count else 0
        self.__array_interface__ = {
            "version": 3, "shape": (count,), "typestr": "|V%d" % RECORD.itemsize,
            "descr": RECORD.descr, "data": (address, True)}
