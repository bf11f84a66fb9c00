/* train.h - options of joint training, read. Private. */
#ifndef AMUN__ENSEMBLE_TRAIN_H
#define AMUN__ENSEMBLE_TRAIN_H

#include "ensemble/ensemble.h"

extern const amun__options_table amun__ensemble_train_options_table, amun__lotos_options_table;

/* Ranges, and what a table cannot say. */
amun_status amun__lotos_options_read(amun_lotos_options *full, const amun_lotos_options *opts);
/* The same; zeros become what was published for the method. */
amun_status amun__ensemble_train_options_read(amun_ensemble_train_options *full,
                                              const amun_ensemble_train_options *opts);

#endif
