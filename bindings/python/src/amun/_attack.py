"""Attacks and adversarial sets."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np

from ._base import (Call, Context, Handle, PathLike, ProgressLike, View, check, context_of,
                    ffi, indices_of, lib, output, path_bytes, vector)
from ._enums import Clamp
from ._options import (ApgdOptions, FfgsmOptions, FgsmOptions, MimOptions, PgdL2Options,
                       PgdLinfOptions, SearchOptions, SquareOptions, StandardOptions)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import ArrayLike, Indices
    from ._data import Dataset
    from ._fields import (ApgdFields, FfgsmFields, FgsmFields, MimFields, PgdL2Fields,
                          PgdLinfFields, SearchFields, SquareFields, StandardFields)
    from ._nets import Model


def _record_dtype() -> np.dtype:
    """amun_attack_record as a NumPy type, from its C declaration."""
    kinds = {"int64_t": "i8", "int32_t": "i4", "uint32_t": "u4", "uint64_t": "u8", "double": "f8"}
    fields = ffi.typeof("amun_attack_record").fields
    return np.dtype({"names": [name for name, _ in fields],
                     "formats": [kinds[field.type.cname] for _, field in fields],
                     "offsets": [field.offset for _, field in fields],
                     "itemsize": ffi.sizeof("amun_attack_record")})


RECORD = _record_dtype()


def attack_by(function: Any, attack: Any, victim: Any, images: Any, labels: Any, ids: Any, out: Any,
              progress: Any) -> Tuple[np.ndarray, np.ndarray]:
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

    def __init__(self) -> None:
        raise TypeError("use Attack.fgsm, ffgsm, pgd_linf, pgd_l2, mim, apgd, square, standard or "
                        "search")

    @classmethod
    def _create(cls, function: Any, options: Any, context: Optional[Context]) -> Attack:
        context = context_of(context)
        return cls._make(context, function, context._c, options._struct)

    @classmethod
    def fgsm(cls, context: Optional[Context] = None, **options: Unpack[FgsmFields]) -> Attack:
        """FGSM (arXiv 1412.6572): one step of the gradient's sign."""
        return cls._create(lib.amun_attack_create_fgsm, FgsmOptions(**options), context)

    @classmethod
    def ffgsm(cls, context: Optional[Context] = None, **options: Unpack[FfgsmFields]) -> Attack:
        """FFGSM (arXiv 2001.03994): a random start, then one step."""
        return cls._create(lib.amun_attack_create_ffgsm, FfgsmOptions(**options), context)

    @classmethod
    def pgd_linf(cls, context: Optional[Context] = None,
                 **options: Unpack[PgdLinfFields]) -> Attack:
        """PGD (arXiv 1706.06083) in the l-infinity ball."""
        return cls._create(lib.amun_attack_create_pgd_linf, PgdLinfOptions(**options), context)

    @classmethod
    def pgd_l2(cls, context: Optional[Context] = None, **options: Unpack[PgdL2Fields]) -> Attack:
        """PGD (arXiv 1706.06083) in the l2 ball."""
        return cls._create(lib.amun_attack_create_pgd_l2, PgdL2Options(**options), context)

    @classmethod
    def search(cls, context: Optional[Context] = None, **options: Unpack[SearchFields]) -> Attack:
        """The nearest adversarial example: what AMUN forgets with. By growing radii, or with
        method=SearchMethod.DDN or SearchMethod.FMN in a fixed number of `steps`."""
        return cls._create(lib.amun_attack_create_search, SearchOptions(**options), context)

    @classmethod
    def mim(cls, context: Optional[Context] = None, **options: Unpack[MimFields]) -> Attack:
        """MI-FGSM (arXiv 1710.06081): PGD along an accumulated gradient."""
        return cls._create(lib.amun_attack_create_mim, MimOptions(**options), context)

    @classmethod
    def apgd(cls, context: Optional[Context] = None, **options: Unpack[ApgdFields]) -> Attack:
        """Auto-PGD (arXiv 2003.01690), which chooses its steps itself."""
        return cls._create(lib.amun_attack_create_apgd, ApgdOptions(**options), context)

    @classmethod
    def square(cls, context: Optional[Context] = None, **options: Unpack[SquareFields]) -> Attack:
        """Square (arXiv 1912.00049): random search, without gradients."""
        return cls._create(lib.amun_attack_create_square, SquareOptions(**options), context)

    @classmethod
    def standard(cls, context: Optional[Context] = None,
                 **options: Unpack[StandardFields]) -> Attack:
        """The worst case of APGD on two losses and Square, as in AutoAttack without FAB."""
        return cls._create(lib.amun_attack_create_standard, StandardOptions(**options), context)

    @property
    def clamp(self) -> Clamp:
        """Clamp.PIXELS, or Clamp.NORMALISED with legacy_normalised_clamp."""
        return Clamp(lib.amun_attack_clamp(self._c))

    def run(self, model: Model, images: ArrayLike, labels: ArrayLike,
            ids: Optional[Indices] = None, out: Optional[ArrayLike] = None,
            progress: ProgressLike = None) -> Tuple[np.ndarray, np.ndarray]:
        """(adversarial images, records) of images [n, C, H, W] in [0, 1] with true labels [n].
        `records` is a structured array (RECORD), one row per image; ids: numbers that key random
        starts and name samples in messages, default 0..n-1; `out`: where to write the images."""
        return attack_by(lib.amun_attack_run, self, model, images, labels, ids, out, progress)


class AdvSet(Handle):
    """For each forget sample its nearest adversarial example. Immutable."""
    _c_name = "amun_advset"
    _shape: Tuple[int, int, int]

    def __init__(self) -> None:
        raise TypeError("use AdvSet.build or AdvSet.load")

    @classmethod
    def build(cls, attack: Attack, model: Model, data: Dataset, indices: Indices,
              progress: ProgressLike = None) -> AdvSet:
        """Runs `attack` (a search, normally) on `indices` of `data`. Samples without a flip stay in
        the table, without image."""
        _kept, start, count = indices_of(indices, "indices")
        out = ffi.new("amun_advset **")
        Call(progress).run(lib.amun_advset_build, out, attack._c, model._c, data._c, start, count)
        return cls._with_shape(out, model)

    @classmethod
    def load(cls, path: PathLike, data: Dataset) -> AdvSet:
        """Reads a set and verifies every record against `data`."""
        out = ffi.new("amun_advset **")
        check(lib.amun_advset_load(out, data._c, path_bytes(path), data.context._c))
        return cls._with_shape(out, data)

    @classmethod
    def _with_shape(cls, out: Any, source: Any) -> AdvSet:
        self = cls._from(out, source.context)
        self._shape = source.shape
        return self

    def save(self, path: PathLike) -> None:
        """Writes the set (safetensors), atomically."""
        check(lib.amun_advset_save(self._c, path_bytes(path)))

    def __len__(self) -> int:
        """Records, failed ones included."""
        return lib.amun_advset_count(self._c)

    @property
    def found(self) -> int:
        """Samples for which an example was found."""
        return lib.amun_advset_found(self._c)

    @property
    def records(self) -> np.ndarray:
        """The table as a read-only structured array over the library's memory (no copy)."""
        return np.asarray(_Table(self))

    def image(self, i: int, out: Optional[ArrayLike] = None) -> np.ndarray:
        """The image of record `i`, copied into a new array or into `out`, float32 [C, H, W];
        NotFoundError without one."""
        image, start = output(out, self._shape, np.float32)
        check(lib.amun_advset_image(self._c, i, start))
        return image


class _Table(Handle):
    """Owns a reference for an array over the records, which thus outlives the set's close()."""
    _c_name = "amun_advset"

    def __init__(self, owner: AdvSet) -> None:
        self._adopt(lib.amun_advset_ref(owner._c), owner.context)
        count = len(owner)
        address = int(ffi.cast("uintptr_t", lib.amun_advset_records(self._c))) if count else 0
        self.__array_interface__ = {
            "version": 3, "shape": (count,), "typestr": "|V%d" % RECORD.itemsize,
            "descr": RECORD.descr, "data": (address, True)}
