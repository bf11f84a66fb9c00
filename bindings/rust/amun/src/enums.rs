// Written by gen_bindings.py from include/amun/*.h; do not edit.

use crate::enumeration;

enumeration!(Dtype, F32 = 1, F64 = 2, F16 = 3, BF16 = 4, U8 = 5, I32 = 6, I64 = 7, BOOL = 8);
enumeration!(LogLevel, SILENT = 0, WARNING = 1, INFO = 2, DEBUG = 3);
enumeration!(Padding, ZERO = 1, CIRCULAR = 2, REFLECT = 3, REPLICATE = 4);
enumeration!(Mode, INFER = 1, ATTACK = 2, TRAIN = 3, TUNE = 4);
enumeration!(Norm, L2 = 1, LINF = 2);
enumeration!(FailurePolicy, LEAVE_OUT = 1, KEEP_IN_DF = 2, ERROR = 3, RETRY = 4);
enumeration!(SearchMethod, EPSILON = 1, DDN = 2, FMN = 3);
enumeration!(AttackLoss, CE = 1, DLR = 2, DLR_TARGETED = 3);
enumeration!(Clamp, PIXELS = 1, NORMALISED = 2);
enumeration!(AttackOutcome, FLIPPED = 1, NOT_FLIPPED = 2, FAILED_CAP = 3, FAILED_GRADIENT = 4, FAILED_NUMERIC = 5, FAILED_BUDGET = 6);
enumeration!(MiannFeatures, LOGITS = 1, LOGPROBS = 2, PROBS = 3, SCALAR = 4);
enumeration!(MiannKernel, LINEAR = 1, RBF = 2, HINGE = 3);
enumeration!(UliraVariance, PER_SAMPLE = 1, POOLED = 2, GLOBAL_REF = 3);
enumeration!(UliraCentre, AUTO = 1, MEAN = 2, MEDIAN = 3);
enumeration!(UliraHoldout, EACH = 1, LAST = 2);
enumeration!(UliraScore, OWN = 1, NEIGHBOUR = 2, JOINT = 3);
enumeration!(ClipMethod, BLOCK = 1, LEGACY = 2, SCALE = 3, MIYATO = 4, GOUK = 5, SEDGHI = 6, SENDEROVICH = 7, DELATTRE_2023 = 8, DELATTRE_2024 = 9);
enumeration!(ClipBatchnorm, LEAVE = 1, HARD = 2, SOFT = 3, GOUK = 4, COMPOSITE = 5);
enumeration!(Schedule, CONSTANT = 1, STEP = 2, COSINE = 3, ONECYCLE = 4);
enumeration!(Optimiser, SGD = 1, ADAM = 2);
enumeration!(EnsembleMethod, PLAIN = 1, PGD_AT = 2, TRADES = 3, ADP = 4, GAL = 5, TRS = 6, DVERGE = 7);
enumeration!(LotosMatch, BY_INDEX = 1, FIRST_ONLY = 2, BY_INPUT_SHAPE = 3, PAIRS = 4);
enumeration!(Signal, SOFTMAX = 1, TAYLOR = 2, SOFT_MARGIN = 3, TAYLOR_SOFT_MARGIN = 4, LOG_LOGIT = 5);
enumeration!(RmiaMode, ONLINE = 1, OFFLINE = 2);
enumeration!(RmiaPopulation, POOL = 1, TEST_ONLY = 2);
enumeration!(TrwScore, SOFTMAX = 1, COSINE = 2);
enumeration!(TrwControl, NONE = 1, PERMUTED = 2, REVERSED = 3, UNIFORM = 4, RANKS = 5);
enumeration!(UnlearnMethod, RETRAIN = 1, AMUN = 2, AMUN_ADVONLY = 3, FINETUNE = 4, RANDOM_LABEL = 5, GRADIENT_ASCENT = 6, NEGGRAD_PLUS = 7, BOUNDARY_SHRINK = 8, BOUNDARY_EXPAND = 9, L1_SPARSE = 10, SALUN = 11, SCRUB = 12, SSD = 13, SVD = 14, BAD_TEACHER = 15, UNSIR = 16, EUK = 17, CFK = 18, DELETE = 19, TRW = 20);
enumeration!(Verdict, CONSISTENT = 1, UNDER = 2, OVER = 3);
enumeration!(SelectRule, SAMPLES = 1, CLASSES = 2);
enumeration!(SpectrumMethod, POWERQR = 1, LEGACY = 2, EXACT = 3);
enumeration!(LayerKind, CONV2D = 1, LINEAR = 2, BATCHNORM = 3, CONV2D_BATCHNORM = 4, LINEAR_BATCHNORM = 5, AVG_POOL = 6);
enumeration!(BoundKind, NONE = 0, EXACT = 1, DIAGONAL = 2, FFT = 3, GRID = 4, GRAM_KERNEL = 5, RESHAPED = 6, PRODUCT = 7, SECTION = 8);
