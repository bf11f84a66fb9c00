/* layout.c - size of each public struct, and offset and size of each field, as released. The
 * compiler checks them; the program only says so. An entry is never edited: a release that appends
 * a field adds its line and changes the size above it (older sizes stay in the option tables). */
#include <stddef.h>
#include <stdio.h>

#include <amun/amun.h>

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")
#define FIELD(type, member, offset, bytes)                                                         \
    _Static_assert(offsetof(type, member) == (offset) && sizeof(((type *)0)->member) == (bytes),   \
                   #type "." #member " has moved or has another type")
/* Numbers that are compiled into applications. */
#define VALUE(name, number) _Static_assert((name) == (number), #name " has another value")

/* 64-bit targets only. */
SIZE(void *, 8);
SIZE(size_t, 8);

/* ---- base.h -------------------------------------------------------------------------------- */

SIZE(amun_progress, 56);
FIELD(amun_progress, struct_size, 0, 8);
FIELD(amun_progress, phase, 8, 8);
FIELD(amun_progress, step, 16, 8);
FIELD(amun_progress, total, 24, 8);
FIELD(amun_progress, loss, 32, 8);
FIELD(amun_progress, metric, 40, 8);
FIELD(amun_progress, seconds, 48, 8);

SIZE(amun_call_options, 32);
FIELD(amun_call_options, struct_size, 0, 8);
FIELD(amun_call_options, progress, 8, 8);
FIELD(amun_call_options, user_data, 16, 8);
FIELD(amun_call_options, min_interval_ms, 24, 4);
FIELD(amun_call_options, reserved0, 28, 4);

/* ---- context.h ----------------------------------------------------------------------------- */

SIZE(amun_context_options, 64);
FIELD(amun_context_options, struct_size, 0, 8);
FIELD(amun_context_options, alloc, 8, 8);
FIELD(amun_context_options, free, 16, 8);
FIELD(amun_context_options, allocator_data, 24, 8);
FIELD(amun_context_options, memory_limit, 32, 8);
FIELD(amun_context_options, threads, 40, 4);
FIELD(amun_context_options, reserved0, 44, 4);
FIELD(amun_context_options, tune_cache, 48, 8);
FIELD(amun_context_options, conv, 56, 4);
FIELD(amun_context_options, precision, 60, 4);

SIZE(amun_memory_stats, 32);
FIELD(amun_memory_stats, struct_size, 0, 8);
FIELD(amun_memory_stats, current, 8, 8);
FIELD(amun_memory_stats, peak, 16, 8);
FIELD(amun_memory_stats, blocks, 24, 8);

/* ---- tensor.h ------------------------------------------------------------------------------ */

SIZE(amun_tensor_view, 152);
FIELD(amun_tensor_view, data, 0, 8);
FIELD(amun_tensor_view, dtype, 8, 4);
FIELD(amun_tensor_view, ndim, 12, 4);
FIELD(amun_tensor_view, flags, 16, 4);
FIELD(amun_tensor_view, reserved, 20, 4);
FIELD(amun_tensor_view, shape, 24, 64);
FIELD(amun_tensor_view, strides, 88, 64);

/* ---- model.h ------------------------------------------------------------------------------- */

SIZE(amun_conv2d_options, 96);
FIELD(amun_conv2d_options, struct_size, 0, 8);
FIELD(amun_conv2d_options, channels, 8, 8);
FIELD(amun_conv2d_options, kernel_h, 16, 8);
FIELD(amun_conv2d_options, kernel_w, 24, 8);
FIELD(amun_conv2d_options, stride_h, 32, 8);
FIELD(amun_conv2d_options, stride_w, 40, 8);
FIELD(amun_conv2d_options, pad_h, 48, 8);
FIELD(amun_conv2d_options, pad_w, 56, 8);
FIELD(amun_conv2d_options, dilation_h, 64, 8);
FIELD(amun_conv2d_options, dilation_w, 72, 8);
FIELD(amun_conv2d_options, groups, 80, 8);
FIELD(amun_conv2d_options, bias, 88, 4);
FIELD(amun_conv2d_options, padding, 92, 4);

SIZE(amun_pool_options, 56);
FIELD(amun_pool_options, struct_size, 0, 8);
FIELD(amun_pool_options, kernel_h, 8, 8);
FIELD(amun_pool_options, kernel_w, 16, 8);
FIELD(amun_pool_options, stride_h, 24, 8);
FIELD(amun_pool_options, stride_w, 32, 8);
FIELD(amun_pool_options, pad_h, 40, 8);
FIELD(amun_pool_options, pad_w, 48, 8);

SIZE(amun_model_options, 64);
FIELD(amun_model_options, struct_size, 0, 8);
FIELD(amun_model_options, classes, 8, 8);
FIELD(amun_model_options, channels, 16, 8);
FIELD(amun_model_options, height, 24, 8);
FIELD(amun_model_options, width, 32, 8);
FIELD(amun_model_options, seed, 40, 8);
FIELD(amun_model_options, mean, 48, 8);
FIELD(amun_model_options, std, 56, 8);

/* ---- clip.h -------------------------------------------------------------------------------- */

SIZE(amun_clip_options, 112);
FIELD(amun_clip_options, struct_size, 0, 8);
FIELD(amun_clip_options, method, 8, 4);
FIELD(amun_clip_options, batchnorm, 12, 4);
FIELD(amun_clip_options, target, 16, 8);
FIELD(amun_clip_options, batchnorm_target, 24, 8);
FIELD(amun_clip_options, tol, 32, 8);
FIELD(amun_clip_options, linear, 40, 4);
FIELD(amun_clip_options, exact, 44, 4);
FIELD(amun_clip_options, final_scale, 48, 4);
FIELD(amun_clip_options, max_rounds, 52, 4);
FIELD(amun_clip_options, block, 56, 4);
FIELD(amun_clip_options, every, 60, 4);
FIELD(amun_clip_options, delay, 64, 4);
FIELD(amun_clip_options, power_iterations, 68, 4);
FIELD(amun_clip_options, rounds, 72, 4);
FIELD(amun_clip_options, inner_steps, 76, 4);
FIELD(amun_clip_options, iterations, 80, 4);
FIELD(amun_clip_options, reserved0, 84, 4);
FIELD(amun_clip_options, eta, 88, 8);
FIELD(amun_clip_options, penalty, 96, 8);
FIELD(amun_clip_options, seed, 104, 8);

SIZE(amun_clip_result, 64);
FIELD(amun_clip_result, struct_size, 0, 8);
FIELD(amun_clip_result, layers, 8, 8);
FIELD(amun_clip_result, changed, 16, 8);
FIELD(amun_clip_result, rounds, 24, 8);
FIELD(amun_clip_result, largest, 32, 8);
FIELD(amun_clip_result, upper, 40, 8);
FIELD(amun_clip_result, moved, 48, 8);
FIELD(amun_clip_result, seconds, 56, 8);

VALUE(AMUN_CLIP_BLOCK, 1);
VALUE(AMUN_CLIP_LEGACY, 2);
VALUE(AMUN_CLIP_SCALE, 3);
VALUE(AMUN_CLIP_MIYATO, 4);
VALUE(AMUN_CLIP_GOUK, 5);
VALUE(AMUN_CLIP_SEDGHI, 6);
VALUE(AMUN_CLIP_SENDEROVICH, 7);
VALUE(AMUN_CLIP_DELATTRE_2023, 8);
VALUE(AMUN_CLIP_DELATTRE_2024, 9);
VALUE(AMUN_CLIP_BATCHNORM_LEAVE, 1);
VALUE(AMUN_CLIP_BATCHNORM_HARD, 2);
VALUE(AMUN_CLIP_BATCHNORM_SOFT, 3);
VALUE(AMUN_CLIP_BATCHNORM_GOUK, 4);
VALUE(AMUN_CLIP_BATCHNORM_COMPOSITE, 5);

/* ---- train.h ------------------------------------------------------------------------------- */

SIZE(amun_train_options, 128);
FIELD(amun_train_options, struct_size, 0, 8);
FIELD(amun_train_options, epochs, 8, 4);
FIELD(amun_train_options, batch, 12, 4);
FIELD(amun_train_options, lr, 16, 8);
FIELD(amun_train_options, momentum, 24, 8);
FIELD(amun_train_options, weight_decay, 32, 8);
FIELD(amun_train_options, nesterov, 40, 4);
FIELD(amun_train_options, schedule, 44, 4);
FIELD(amun_train_options, step_epochs, 48, 4);
FIELD(amun_train_options, augment_pad, 52, 4);
FIELD(amun_train_options, gamma, 56, 8);
FIELD(amun_train_options, warmup, 64, 8);
FIELD(amun_train_options, final_factor, 72, 8);
FIELD(amun_train_options, label_smoothing, 80, 8);
FIELD(amun_train_options, augment_flip, 88, 4);
FIELD(amun_train_options, checkpoint_every, 92, 4);
FIELD(amun_train_options, seed, 96, 8);
FIELD(amun_train_options, checkpoint, 104, 8);
FIELD(amun_train_options, clip, 112, 8);
FIELD(amun_train_options, optimiser, 120, 4);
FIELD(amun_train_options, augment_cutout, 124, 4);

SIZE(amun_train_result, 48);
FIELD(amun_train_result, struct_size, 0, 8);
FIELD(amun_train_result, loss, 8, 8);
FIELD(amun_train_result, accuracy, 16, 8);
FIELD(amun_train_result, seconds, 24, 8);
FIELD(amun_train_result, epochs, 32, 8);
FIELD(amun_train_result, samples, 40, 8);

/* ---- attack.h ------------------------------------------------------------------------------ */

SIZE(amun_fgsm_options, 24);
FIELD(amun_fgsm_options, struct_size, 0, 8);
FIELD(amun_fgsm_options, eps, 8, 8);
FIELD(amun_fgsm_options, batch, 16, 4);
FIELD(amun_fgsm_options, reserved0, 20, 4);

SIZE(amun_ffgsm_options, 40);
FIELD(amun_ffgsm_options, struct_size, 0, 8);
FIELD(amun_ffgsm_options, eps, 8, 8);
FIELD(amun_ffgsm_options, step, 16, 8);
FIELD(amun_ffgsm_options, seed, 24, 8);
FIELD(amun_ffgsm_options, batch, 32, 4);
FIELD(amun_ffgsm_options, reserved0, 36, 4);

SIZE(amun_pgd_options, 48);
FIELD(amun_pgd_options, struct_size, 0, 8);
FIELD(amun_pgd_options, eps, 8, 8);
FIELD(amun_pgd_options, step, 16, 8);
FIELD(amun_pgd_options, steps, 24, 4);
FIELD(amun_pgd_options, random_start, 28, 4);
FIELD(amun_pgd_options, seed, 32, 8);
FIELD(amun_pgd_options, batch, 40, 4);
FIELD(amun_pgd_options, legacy_normalised_clamp, 44, 4);

SIZE(amun_search_options, 136);
FIELD(amun_search_options, struct_size, 0, 8);
FIELD(amun_search_options, norm, 8, 4);
FIELD(amun_search_options, steps, 12, 4);
FIELD(amun_search_options, eps0, 16, 8);
FIELD(amun_search_options, growth, 24, 8);
FIELD(amun_search_options, step_divisor, 32, 8);
FIELD(amun_search_options, eps_max, 40, 8);
FIELD(amun_search_options, restart, 48, 4);
FIELD(amun_search_options, margin_fallback, 52, 4);
FIELD(amun_search_options, on_failure, 56, 4);
FIELD(amun_search_options, batch, 60, 4);
FIELD(amun_search_options, seed, 64, 8);
FIELD(amun_search_options, method, 72, 4);
FIELD(amun_search_options, pilot, 76, 4);
FIELD(amun_search_options, pilot_eps, 80, 8);
FIELD(amun_search_options, pilot_percentile, 88, 8);
FIELD(amun_search_options, init_norm, 96, 8);
FIELD(amun_search_options, gamma, 104, 8);
FIELD(amun_search_options, gamma_final, 112, 8);
FIELD(amun_search_options, alpha, 120, 8);
FIELD(amun_search_options, alpha_final, 128, 8);

SIZE(amun_mim_options, 40);
FIELD(amun_mim_options, struct_size, 0, 8);
FIELD(amun_mim_options, eps, 8, 8);
FIELD(amun_mim_options, step, 16, 8);
FIELD(amun_mim_options, decay, 24, 8);
FIELD(amun_mim_options, steps, 32, 4);
FIELD(amun_mim_options, batch, 36, 4);

SIZE(amun_apgd_options, 72);
FIELD(amun_apgd_options, struct_size, 0, 8);
FIELD(amun_apgd_options, norm, 8, 4);
FIELD(amun_apgd_options, loss, 12, 4);
FIELD(amun_apgd_options, eps, 16, 8);
FIELD(amun_apgd_options, rho, 24, 8);
FIELD(amun_apgd_options, momentum, 32, 8);
FIELD(amun_apgd_options, steps, 40, 4);
FIELD(amun_apgd_options, restarts, 44, 4);
FIELD(amun_apgd_options, targets, 48, 4);
FIELD(amun_apgd_options, random_start, 52, 4);
FIELD(amun_apgd_options, seed, 56, 8);
FIELD(amun_apgd_options, stop_at_flip, 64, 4);
FIELD(amun_apgd_options, batch, 68, 4);

SIZE(amun_square_options, 48);
FIELD(amun_square_options, struct_size, 0, 8);
FIELD(amun_square_options, norm, 8, 4);
FIELD(amun_square_options, queries, 12, 4);
FIELD(amun_square_options, eps, 16, 8);
FIELD(amun_square_options, p_init, 24, 8);
FIELD(amun_square_options, seed, 32, 8);
FIELD(amun_square_options, batch, 40, 4);
FIELD(amun_square_options, reserved0, 44, 4);

SIZE(amun_standard_options, 48);
FIELD(amun_standard_options, struct_size, 0, 8);
FIELD(amun_standard_options, norm, 8, 4);
FIELD(amun_standard_options, steps, 12, 4);
FIELD(amun_standard_options, eps, 16, 8);
FIELD(amun_standard_options, targets, 24, 4);
FIELD(amun_standard_options, queries, 28, 4);
FIELD(amun_standard_options, seed, 32, 8);
FIELD(amun_standard_options, batch, 40, 4);
FIELD(amun_standard_options, reserved0, 44, 4);

SIZE(amun_attack_record, 64);
FIELD(amun_attack_record, index, 0, 8);
FIELD(amun_attack_record, label, 8, 4);
FIELD(amun_attack_record, predicted, 12, 4);
FIELD(amun_attack_record, adversarial, 16, 4);
FIELD(amun_attack_record, outcome, 20, 4);
FIELD(amun_attack_record, eps, 24, 8);
FIELD(amun_attack_record, l2, 32, 8);
FIELD(amun_attack_record, linf, 40, 8);
FIELD(amun_attack_record, updates, 48, 4);
FIELD(amun_attack_record, flags, 52, 4);
FIELD(amun_attack_record, input_hash, 56, 8);

/* ---- spectral.h ---------------------------------------------------------------------------- */

SIZE(amun_spectrum_options, 64);
FIELD(amun_spectrum_options, struct_size, 0, 8);
FIELD(amun_spectrum_options, method, 8, 4);
FIELD(amun_spectrum_options, k, 12, 4);
FIELD(amun_spectrum_options, block, 16, 4);
FIELD(amun_spectrum_options, max_iterations, 20, 4);
FIELD(amun_spectrum_options, tol, 24, 8);
FIELD(amun_spectrum_options, mu, 32, 8);
FIELD(amun_spectrum_options, fold_batchnorm, 40, 4);
FIELD(amun_spectrum_options, certify, 44, 4);
FIELD(amun_spectrum_options, seed, 48, 8);
FIELD(amun_spectrum_options, certify_cost, 56, 8);

SIZE(amun_layer_spectrum, 128);
FIELD(amun_layer_spectrum, struct_size, 0, 8);
FIELD(amun_layer_spectrum, name, 8, 8);
FIELD(amun_layer_spectrum, batchnorm, 16, 8);
FIELD(amun_layer_spectrum, kind, 24, 4);
FIELD(amun_layer_spectrum, node, 28, 4);
FIELD(amun_layer_spectrum, in_shape, 32, 24);
FIELD(amun_layer_spectrum, out_shape, 56, 24);
FIELD(amun_layer_spectrum, sigma_lower, 80, 8);
FIELD(amun_layer_spectrum, sigma_upper, 88, 8);
FIELD(amun_layer_spectrum, sigma_flat, 96, 8);
FIELD(amun_layer_spectrum, residual, 104, 8);
FIELD(amun_layer_spectrum, bound, 112, 4);
FIELD(amun_layer_spectrum, values, 116, 4);
FIELD(amun_layer_spectrum, iterations, 120, 4);
FIELD(amun_layer_spectrum, converged, 124, 4);

SIZE(amun_lipschitz, 24);
FIELD(amun_lipschitz, struct_size, 0, 8);
FIELD(amun_lipschitz, upper, 8, 8);
FIELD(amun_lipschitz, estimate, 16, 8);

VALUE(AMUN_SPECTRUM_POWERQR, 1);
VALUE(AMUN_SPECTRUM_LEGACY, 2);
VALUE(AMUN_SPECTRUM_EXACT, 3);
VALUE(AMUN_LAYER_CONV2D, 1);
VALUE(AMUN_LAYER_LINEAR, 2);
VALUE(AMUN_LAYER_BATCHNORM, 3);
VALUE(AMUN_LAYER_CONV2D_BATCHNORM, 4);
VALUE(AMUN_LAYER_LINEAR_BATCHNORM, 5);
VALUE(AMUN_LAYER_AVG_POOL, 6);
VALUE(AMUN_BOUND_NONE, 0);
VALUE(AMUN_BOUND_EXACT, 1);
VALUE(AMUN_BOUND_DIAGONAL, 2);
VALUE(AMUN_BOUND_FFT, 3);
VALUE(AMUN_BOUND_GRID, 4);
VALUE(AMUN_BOUND_GRAM_KERNEL, 5);
VALUE(AMUN_BOUND_RESHAPED, 6);
VALUE(AMUN_BOUND_PRODUCT, 7);
VALUE(AMUN_BOUND_SECTION, 8);

/* ---- ensemble.h ---------------------------------------------------------------------------- */

SIZE(amun_layer_pair, 24);
FIELD(amun_layer_pair, layer_a, 0, 8);
FIELD(amun_layer_pair, layer_b, 8, 8);
FIELD(amun_layer_pair, model_a, 16, 4);
FIELD(amun_layer_pair, model_b, 20, 4);

SIZE(amun_lotos_options, 104);
FIELD(amun_lotos_options, struct_size, 0, 8);
FIELD(amun_lotos_options, k, 8, 4);
FIELD(amun_lotos_options, match, 12, 4);
FIELD(amun_lotos_options, mean, 16, 4);
FIELD(amun_lotos_options, batchnorm, 20, 4);
FIELD(amun_lotos_options, lambda, 24, 8);
FIELD(amun_lotos_options, mal, 32, 8);
FIELD(amun_lotos_options, batchnorm_lambda, 40, 8);
FIELD(amun_lotos_options, batchnorm_mal, 48, 8);
FIELD(amun_lotos_options, decay, 56, 8);
FIELD(amun_lotos_options, block, 64, 4);
FIELD(amun_lotos_options, power_iterations, 68, 4);
FIELD(amun_lotos_options, initial_iterations, 72, 4);
FIELD(amun_lotos_options, every, 76, 4);
FIELD(amun_lotos_options, pairs, 80, 8);
FIELD(amun_lotos_options, pair_count, 88, 8);
FIELD(amun_lotos_options, seed, 96, 8);

SIZE(amun_ensemble_train_options, 112);
FIELD(amun_ensemble_train_options, struct_size, 0, 8);
FIELD(amun_ensemble_train_options, method, 8, 4);
FIELD(amun_ensemble_train_options, attack_steps, 12, 4);
FIELD(amun_ensemble_train_options, train, 16, 8);
FIELD(amun_ensemble_train_options, lotos, 24, 8);
FIELD(amun_ensemble_train_options, attack_eps, 32, 8);
FIELD(amun_ensemble_train_options, attack_step, 40, 8);
FIELD(amun_ensemble_train_options, trades_beta, 48, 8);
FIELD(amun_ensemble_train_options, adp_alpha, 56, 8);
FIELD(amun_ensemble_train_options, adp_beta, 64, 8);
FIELD(amun_ensemble_train_options, gal_lambda, 72, 8);
FIELD(amun_ensemble_train_options, trs_cosine, 80, 8);
FIELD(amun_ensemble_train_options, trs_smooth, 88, 8);
FIELD(amun_ensemble_train_options, trs_l2, 96, 4);
FIELD(amun_ensemble_train_options, dverge_own, 100, 4);
FIELD(amun_ensemble_train_options, seed, 104, 8);

SIZE(amun_transfer_result, 72);
FIELD(amun_transfer_result, struct_size, 0, 8);
FIELD(amun_transfer_result, transfer, 8, 8);
FIELD(amun_transfer_result, success, 16, 8);
FIELD(amun_transfer_result, robust, 24, 8);
FIELD(amun_transfer_result, samples, 32, 8);
FIELD(amun_transfer_result, terms, 40, 8);
FIELD(amun_transfer_result, failed, 48, 8);
FIELD(amun_transfer_result, target_right, 56, 8);
FIELD(amun_transfer_result, clamp, 64, 4);
FIELD(amun_transfer_result, reserved0, 68, 4);

SIZE(amun_certificate, 48);
FIELD(amun_certificate, struct_size, 0, 8);
FIELD(amun_certificate, samples, 8, 8);
FIELD(amun_certificate, right, 16, 8);
FIELD(amun_certificate, certified, 24, 8);
FIELD(amun_certificate, accuracy, 32, 8);
FIELD(amun_certificate, radius, 40, 8);

SIZE(amun_transfer_gap, 64);
FIELD(amun_transfer_gap, struct_size, 0, 8);
FIELD(amun_transfer_gap, clean, 8, 16);
FIELD(amun_transfer_gap, attacked, 24, 16);
FIELD(amun_transfer_gap, moved, 40, 8);
FIELD(amun_transfer_gap, bound, 48, 8);
FIELD(amun_transfer_gap, samples, 56, 8);

/* ---- unlearn.h ----------------------------------------------------------------------------- */

SIZE(amun_unlearn_options, 56);
FIELD(amun_unlearn_options, struct_size, 0, 8);
FIELD(amun_unlearn_options, method, 8, 4);
FIELD(amun_unlearn_options, remain, 12, 4);
FIELD(amun_unlearn_options, train, 16, 8);
FIELD(amun_unlearn_options, seed, 24, 8);
FIELD(amun_unlearn_options, mask_ratio, 32, 8);
FIELD(amun_unlearn_options, rival, 40, 8);
FIELD(amun_unlearn_options, trw, 48, 8);

SIZE(amun_rival_options, 192);
FIELD(amun_rival_options, struct_size, 0, 8);
FIELD(amun_rival_options, any_label, 8, 4);
FIELD(amun_rival_options, forget_first, 12, 4);
FIELD(amun_rival_options, ascent_norm, 16, 8);
FIELD(amun_rival_options, ascent_floor, 24, 8);
FIELD(amun_rival_options, retain_weight, 32, 8);
FIELD(amun_rival_options, boundary_step, 40, 8);
FIELD(amun_rival_options, l1, 48, 8);
FIELD(amun_rival_options, scrub_temperature, 56, 8);
FIELD(amun_rival_options, scrub_gamma, 64, 8);
FIELD(amun_rival_options, scrub_alpha, 72, 8);
FIELD(amun_rival_options, scrub_ascent_epochs, 80, 4);
FIELD(amun_rival_options, scrub_rewind, 84, 4);
FIELD(amun_rival_options, ssd_alpha, 88, 8);
FIELD(amun_rival_options, ssd_lambda, 96, 8);
FIELD(amun_rival_options, svd_retain_alpha, 104, 8);
FIELD(amun_rival_options, svd_forget_alpha, 112, 8);
FIELD(amun_rival_options, svd_samples, 120, 4);
FIELD(amun_rival_options, svd_patches, 124, 4);
FIELD(amun_rival_options, teacher_share, 128, 8);
FIELD(amun_rival_options, teacher_temperature, 136, 8);
FIELD(amun_rival_options, unsir_noise, 144, 4);
FIELD(amun_rival_options, unsir_noise_steps, 148, 4);
FIELD(amun_rival_options, unsir_noise_lr, 152, 8);
FIELD(amun_rival_options, unsir_noise_penalty, 160, 8);
FIELD(amun_rival_options, unsir_copies, 168, 4);
FIELD(amun_rival_options, unsir_per_class, 172, 4);
FIELD(amun_rival_options, unsir_repair_lr, 176, 8);
FIELD(amun_rival_options, last_blocks, 184, 4);
FIELD(amun_rival_options, reserved, 188, 4);

SIZE(amun_trw_options, 104);
FIELD(amun_trw_options, struct_size, 0, 8);
FIELD(amun_trw_options, beta, 8, 8);
FIELD(amun_trw_options, temperature, 16, 8);
FIELD(amun_trw_options, energy, 24, 8);
FIELD(amun_trw_options, components, 32, 4);
FIELD(amun_trw_options, score, 36, 4);
FIELD(amun_trw_options, bias, 40, 4);
FIELD(amun_trw_options, balanced, 44, 4);
FIELD(amun_trw_options, frozen_statistics, 48, 4);
FIELD(amun_trw_options, neighbours, 52, 4);
FIELD(amun_trw_options, kappa, 56, 8);
FIELD(amun_trw_options, forget_floor, 64, 8);
FIELD(amun_trw_options, forget_weight, 72, 8);
FIELD(amun_trw_options, noise, 80, 8);
FIELD(amun_trw_options, control, 88, 4);
FIELD(amun_trw_options, stage, 92, 4);
FIELD(amun_trw_options, noise_seed, 96, 8);

SIZE(amun_trw_select_options, 32);
FIELD(amun_trw_select_options, struct_size, 0, 8);
FIELD(amun_trw_select_options, share, 8, 8);
FIELD(amun_trw_select_options, tolerance, 16, 8);
FIELD(amun_trw_select_options, seed, 24, 8);

SIZE(amun_unlearn_result, 64);
FIELD(amun_unlearn_result, struct_size, 0, 8);
FIELD(amun_unlearn_result, remain, 8, 8);
FIELD(amun_unlearn_result, forget, 16, 8);
FIELD(amun_unlearn_result, adversarial, 24, 8);
FIELD(amun_unlearn_result, failed, 32, 8);
FIELD(amun_unlearn_result, loss, 40, 8);
FIELD(amun_unlearn_result, accuracy, 48, 8);
FIELD(amun_unlearn_result, seconds, 56, 8);

SIZE(amun_unlearn_bound, 96);
FIELD(amun_unlearn_bound, struct_size, 0, 8);
FIELD(amun_unlearn_bound, samples, 8, 8);
FIELD(amun_unlearn_bound, delta, 16, 8);
FIELD(amun_unlearn_bound, l_delta, 24, 8);
FIELD(amun_unlearn_bound, original_adversarial, 32, 8);
FIELD(amun_unlearn_bound, unlearned_adversarial, 40, 8);
FIELD(amun_unlearn_bound, retrained_clean, 48, 8);
FIELD(amun_unlearn_bound, retrained_adversarial, 56, 8);
FIELD(amun_unlearn_bound, c, 64, 8);
FIELD(amun_unlearn_bound, before, 72, 8);
FIELD(amun_unlearn_bound, after, 80, 8);
FIELD(amun_unlearn_bound, bound, 88, 8);

/* ---- probe.h ------------------------------------------------------------------------------- */

SIZE(amun_gap, 56);
FIELD(amun_gap, struct_size, 0, 8);
FIELD(amun_gap, models, 8, 8);
FIELD(amun_gap, unlearned, 16, 8);
FIELD(amun_gap, retrained, 24, 8);
FIELD(amun_gap, gap, 32, 8);
FIELD(amun_gap, null_mean, 40, 8);
FIELD(amun_gap, null_sd, 48, 8);

SIZE(amun_probe_options, 40);
FIELD(amun_probe_options, struct_size, 0, 8);
FIELD(amun_probe_options, ridge, 8, 8);
FIELD(amun_probe_options, limit, 16, 8);
FIELD(amun_probe_options, stage, 24, 4);
FIELD(amun_probe_options, reserved, 28, 4);
FIELD(amun_probe_options, seed, 32, 8);

SIZE(amun_probe, 56);
FIELD(amun_probe, struct_size, 0, 8);
FIELD(amun_probe, fitted, 8, 8);
FIELD(amun_probe, tested, 16, 8);
FIELD(amun_probe, forget_accuracy, 24, 8);
FIELD(amun_probe, remain_accuracy, 32, 8);
FIELD(amun_probe, fit_accuracy, 40, 8);
FIELD(amun_probe, auc, 48, 8);

SIZE(amun_prototype_options, 32);
FIELD(amun_prototype_options, struct_size, 0, 8);
FIELD(amun_prototype_options, samples, 8, 4);
FIELD(amun_prototype_options, draws, 12, 4);
FIELD(amun_prototype_options, scale, 16, 4);
FIELD(amun_prototype_options, reserved, 20, 4);
FIELD(amun_prototype_options, seed, 24, 8);

SIZE(amun_prototype, 64);
FIELD(amun_prototype, struct_size, 0, 8);
FIELD(amun_prototype, tested, 8, 8);
FIELD(amun_prototype, forget_before, 16, 8);
FIELD(amun_prototype, remain_before, 24, 8);
FIELD(amun_prototype, forget_accuracy, 32, 8);
FIELD(amun_prototype, forget_sd, 40, 8);
FIELD(amun_prototype, remain_accuracy, 48, 8);
FIELD(amun_prototype, remain_sd, 56, 8);

SIZE(amun_lossmia_options, 40);
FIELD(amun_lossmia_options, struct_size, 0, 8);
FIELD(amun_lossmia_options, splits, 8, 4);
FIELD(amun_lossmia_options, reserved, 12, 4);
FIELD(amun_lossmia_options, test_share, 16, 8);
FIELD(amun_lossmia_options, ridge, 24, 8);
FIELD(amun_lossmia_options, seed, 32, 8);

SIZE(amun_lossmia, 40);
FIELD(amun_lossmia, struct_size, 0, 8);
FIELD(amun_lossmia, rows, 8, 8);
FIELD(amun_lossmia, accuracy, 16, 8);
FIELD(amun_lossmia, sd, 24, 8);
FIELD(amun_lossmia, auc, 32, 8);

SIZE(amun_quality_options, 40);
FIELD(amun_quality_options, struct_size, 0, 8);
FIELD(amun_quality_options, delta, 8, 8);
FIELD(amun_quality_options, cap, 16, 8);
FIELD(amun_quality_options, bin, 24, 8);
FIELD(amun_quality_options, intervals, 32, 4);
FIELD(amun_quality_options, reserved, 36, 4);

SIZE(amun_quality, 64);
FIELD(amun_quality, struct_size, 0, 8);
FIELD(amun_quality, unlearned, 8, 8);
FIELD(amun_quality, retrained, 16, 8);
FIELD(amun_quality, rows, 24, 8);
FIELD(amun_quality, score, 32, 8);
FIELD(amun_quality, epsilon_mean, 40, 8);
FIELD(amun_quality, epsilon_median, 48, 8);
FIELD(amun_quality, capped, 56, 8);

VALUE(AMUN_PROTOTYPE_MATCHED, 1);
VALUE(AMUN_PROTOTYPE_RAW, 2);

/* ---- select.h ------------------------------------------------------------------------------ */

SIZE(amun_forget_check, 56);
FIELD(amun_forget_check, struct_size, 0, 8);
FIELD(amun_forget_check, auc, 8, 8);
FIELD(amun_forget_check, error, 16, 8);
FIELD(amun_forget_check, low, 24, 8);
FIELD(amun_forget_check, high, 32, 8);
FIELD(amun_forget_check, p, 40, 8);
FIELD(amun_forget_check, verdict, 48, 4);
FIELD(amun_forget_check, reserved, 52, 4);

SIZE(amun_select_options, 24);
FIELD(amun_select_options, struct_size, 0, 8);
FIELD(amun_select_options, rule, 8, 4);
FIELD(amun_select_options, reserved, 12, 4);
FIELD(amun_select_options, tolerance, 16, 8);

SIZE(amun_select_trial, 64);
FIELD(amun_select_trial, struct_size, 0, 8);
FIELD(amun_select_trial, lr, 8, 8);
FIELD(amun_select_trial, forget_accuracy, 16, 8);
FIELD(amun_select_trial, heldout_accuracy, 24, 8);
FIELD(amun_select_trial, auc, 32, 8);
FIELD(amun_select_trial, error, 40, 8);
FIELD(amun_select_trial, seconds, 48, 8);
FIELD(amun_select_trial, admitted, 56, 4);
FIELD(amun_select_trial, failed, 60, 4);

SIZE(amun_relearn_options, 40);
FIELD(amun_relearn_options, struct_size, 0, 8);
FIELD(amun_relearn_options, lr, 8, 8);
FIELD(amun_relearn_options, batch, 16, 4);
FIELD(amun_relearn_options, every, 20, 4);
FIELD(amun_relearn_options, most_epochs, 24, 4);
FIELD(amun_relearn_options, reserved, 28, 4);
FIELD(amun_relearn_options, seed, 32, 8);

SIZE(amun_relearn, 40);
FIELD(amun_relearn, struct_size, 0, 8);
FIELD(amun_relearn, steps, 8, 8);
FIELD(amun_relearn, before, 16, 8);
FIELD(amun_relearn, after, 24, 8);
FIELD(amun_relearn, seconds, 32, 8);

/* ---- mia.h --------------------------------------------------------------------------------- */

SIZE(amun_rmia_options, 64);
FIELD(amun_rmia_options, struct_size, 0, 8);
FIELD(amun_rmia_options, signal, 8, 4);
FIELD(amun_rmia_options, taylor_degree, 12, 4);
FIELD(amun_rmia_options, temperature, 16, 8);
FIELD(amun_rmia_options, margin, 24, 8);
FIELD(amun_rmia_options, gamma, 32, 8);
FIELD(amun_rmia_options, mode, 40, 4);
FIELD(amun_rmia_options, population, 44, 4);
FIELD(amun_rmia_options, offline_a, 48, 8);
FIELD(amun_rmia_options, trim, 56, 8);

SIZE(amun_mia_options, 32);
FIELD(amun_mia_options, struct_size, 0, 8);
FIELD(amun_mia_options, references, 8, 4);
FIELD(amun_mia_options, subsamples, 12, 4);
FIELD(amun_mia_options, seed, 16, 8);
FIELD(amun_mia_options, rmia, 24, 8);

SIZE(amun_audit, 112);
FIELD(amun_audit, struct_size, 0, 8);
FIELD(amun_audit, ua, 8, 8);
FIELD(amun_audit, ra, 16, 8);
FIELD(amun_audit, ta, 24, 8);
FIELD(amun_audit, ft_auc, 32, 8);
FIELD(amun_audit, fr_auc, 40, 8);
FIELD(amun_audit, rt_auc, 48, 8);
FIELD(amun_audit, ft_auc_sd, 56, 8);
FIELD(amun_audit, ft_tpr_1, 64, 8);
FIELD(amun_audit, ft_tpr_01, 72, 8);
FIELD(amun_audit, mis, 80, 8);
FIELD(amun_audit, seconds, 88, 8);
FIELD(amun_audit, nonpositive, 96, 8);
FIELD(amun_audit, references, 104, 8);

/* ---- enumerations and constants -------------------------------------------------------------- */

VALUE(AMUN_OK, 0);
VALUE(AMUN_ERROR_INVALID_ARGUMENT, -1);
VALUE(AMUN_ERROR_OUT_OF_MEMORY, -2);
VALUE(AMUN_ERROR_IO, -3);
VALUE(AMUN_ERROR_FORMAT, -4);
VALUE(AMUN_ERROR_UNSUPPORTED, -5);
VALUE(AMUN_ERROR_SHAPE, -6);
VALUE(AMUN_ERROR_STATE, -7);
VALUE(AMUN_ERROR_BUSY, -8);
VALUE(AMUN_ERROR_CANCELLED, -9);
VALUE(AMUN_ERROR_NUMERIC, -10);
VALUE(AMUN_ERROR_BACKEND, -11);
VALUE(AMUN_ERROR_NOT_FOUND, -12);
VALUE(AMUN_ERROR_INTERNAL, -99);
VALUE(AMUN_DTYPE_F32, 1);
VALUE(AMUN_DTYPE_F64, 2);
VALUE(AMUN_DTYPE_F16, 3);
VALUE(AMUN_DTYPE_BF16, 4);
VALUE(AMUN_DTYPE_U8, 5);
VALUE(AMUN_DTYPE_I32, 6);
VALUE(AMUN_DTYPE_I64, 7);
VALUE(AMUN_DTYPE_BOOL, 8);
VALUE(AMUN_LOG_SILENT, 0);
VALUE(AMUN_LOG_WARNING, 1);
VALUE(AMUN_LOG_INFO, 2);
VALUE(AMUN_LOG_DEBUG, 3);
VALUE(AMUN_MAX_NDIM, 8);
VALUE(AMUN_VIEW_READONLY, 1u);
VALUE(AMUN_MODE_INFER, 1);
VALUE(AMUN_MODE_ATTACK, 2);
VALUE(AMUN_MODE_TRAIN, 3);
VALUE(AMUN_MODE_TUNE, 4);
VALUE(AMUN_SCHEDULE_CONSTANT, 1);
VALUE(AMUN_SCHEDULE_STEP, 2);
VALUE(AMUN_SCHEDULE_COSINE, 3);
VALUE(AMUN_SCHEDULE_ONECYCLE, 4);
VALUE(AMUN_NORM_L2, 1);
VALUE(AMUN_NORM_LINF, 2);
VALUE(AMUN_FAILURE_LEAVE_OUT, 1);
VALUE(AMUN_FAILURE_KEEP_IN_DF, 2);
VALUE(AMUN_FAILURE_ERROR, 3);
VALUE(AMUN_FAILURE_RETRY, 4);
VALUE(AMUN_SEARCH_EPSILON, 1);
VALUE(AMUN_SEARCH_DDN, 2);
VALUE(AMUN_SEARCH_FMN, 3);
VALUE(AMUN_ATTACK_FLIPPED, 1);
VALUE(AMUN_ATTACK_NOT_FLIPPED, 2);
VALUE(AMUN_ATTACK_FAILED_CAP, 3);
VALUE(AMUN_ATTACK_FAILED_GRADIENT, 4);
VALUE(AMUN_ATTACK_FAILED_NUMERIC, 5);
VALUE(AMUN_ATTACK_FAILED_BUDGET, 6);
VALUE(AMUN_ATTACK_MARGIN_FALLBACK, 1u);
VALUE(AMUN_ATTACK_RETRIED, 2u);
VALUE(AMUN_ATTACK_BY_APGD_CE, 4u);
VALUE(AMUN_ATTACK_BY_APGD_T, 8u);
VALUE(AMUN_ATTACK_BY_SQUARE, 16u);
VALUE(AMUN_ATTACK_LEGACY_CLAMP, 32u);
VALUE(AMUN_ATTACK_LOSS_CE, 1);
VALUE(AMUN_ATTACK_LOSS_DLR, 2);
VALUE(AMUN_ATTACK_LOSS_DLR_TARGETED, 3);
VALUE(AMUN_CLAMP_PIXELS, 1);
VALUE(AMUN_CLAMP_NORMALISED, 2);
VALUE(AMUN_VERDICT_CONSISTENT, 1);
VALUE(AMUN_VERDICT_UNDER, 2);
VALUE(AMUN_VERDICT_OVER, 3);
VALUE(AMUN_SELECT_SAMPLES, 1);
VALUE(AMUN_SELECT_CLASSES, 2);
VALUE(AMUN_UNLEARN_RETRAIN, 1);
VALUE(AMUN_UNLEARN_AMUN, 2);
VALUE(AMUN_UNLEARN_AMUN_ADVONLY, 3);
VALUE(AMUN_UNLEARN_FINETUNE, 4);
VALUE(AMUN_UNLEARN_RANDOM_LABEL, 5);
VALUE(AMUN_UNLEARN_GRADIENT_ASCENT, 6);
VALUE(AMUN_UNLEARN_NEGGRAD_PLUS, 7);
VALUE(AMUN_UNLEARN_BOUNDARY_SHRINK, 8);
VALUE(AMUN_UNLEARN_BOUNDARY_EXPAND, 9);
VALUE(AMUN_UNLEARN_L1_SPARSE, 10);
VALUE(AMUN_UNLEARN_SALUN, 11);
VALUE(AMUN_UNLEARN_SCRUB, 12);
VALUE(AMUN_UNLEARN_SSD, 13);
VALUE(AMUN_UNLEARN_SVD, 14);
VALUE(AMUN_UNLEARN_BAD_TEACHER, 15);
VALUE(AMUN_UNLEARN_UNSIR, 16);
VALUE(AMUN_UNLEARN_EUK, 17);
VALUE(AMUN_UNLEARN_CFK, 18);
VALUE(AMUN_UNLEARN_DELETE, 19);
VALUE(AMUN_UNLEARN_TRW, 20);
VALUE(AMUN_TRW_SCORE_SOFTMAX, 1);
VALUE(AMUN_TRW_SCORE_COSINE, 2);
VALUE(AMUN_TRW_CONTROL_NONE, 1);
VALUE(AMUN_TRW_CONTROL_PERMUTED, 2);
VALUE(AMUN_TRW_CONTROL_REVERSED, 3);
VALUE(AMUN_TRW_CONTROL_UNIFORM, 4);
VALUE(AMUN_TRW_CONTROL_RANKS, 5);
VALUE(AMUN_SIGNAL_SOFTMAX, 1);
VALUE(AMUN_SIGNAL_TAYLOR, 2);
VALUE(AMUN_SIGNAL_SOFT_MARGIN, 3);
VALUE(AMUN_SIGNAL_TAYLOR_SOFT_MARGIN, 4);
VALUE(AMUN_SIGNAL_LOG_LOGIT, 5);
VALUE(AMUN_RMIA_ONLINE, 1);
VALUE(AMUN_RMIA_OFFLINE, 2);
VALUE(AMUN_RMIA_POOL, 1);
VALUE(AMUN_RMIA_TEST_ONLY, 2);

/* ---- audit.h ------------------------------------------------------------------------------- */

SIZE(amun_miann_options, 48);
FIELD(amun_miann_options, struct_size, 0, 8);
FIELD(amun_miann_options, features, 8, 4);
FIELD(amun_miann_options, kernel, 12, 4);
FIELD(amun_miann_options, c, 16, 8);
FIELD(amun_miann_options, fit_share, 24, 8);
FIELD(amun_miann_options, top_m, 32, 4);
FIELD(amun_miann_options, reserved0, 36, 4);
FIELD(amun_miann_options, seed, 40, 8);

SIZE(amun_miann, 112);
FIELD(amun_miann, struct_size, 0, 8);
FIELD(amun_miann, neighbour, 8, 8);
FIELD(amun_miann, models, 16, 8);
FIELD(amun_miann, score, 24, 8);
FIELD(amun_miann, retrained, 32, 8);
FIELD(amun_miann, gap, 40, 8);
FIELD(amun_miann, null_mean, 48, 8);
FIELD(amun_miann, null_sd, 56, 8);
FIELD(amun_miann, top_gap, 64, 8);
FIELD(amun_miann, top_null_mean, 72, 8);
FIELD(amun_miann, top_null_sd, 80, 8);
FIELD(amun_miann, vote_share, 88, 8);
FIELD(amun_miann, sanity, 96, 8);
FIELD(amun_miann, sanity_retrained, 104, 8);

SIZE(amun_c2st_options, 32);
FIELD(amun_c2st_options, struct_size, 0, 8);
FIELD(amun_c2st_options, folds, 8, 4);
FIELD(amun_c2st_options, reserved0, 12, 4);
FIELD(amun_c2st_options, ridge, 16, 8);
FIELD(amun_c2st_options, seed, 24, 8);

SIZE(amun_c2st, 72);
FIELD(amun_c2st, struct_size, 0, 8);
FIELD(amun_c2st, models, 8, 8);
FIELD(amun_c2st, rows, 16, 8);
FIELD(amun_c2st, all, 24, 8);
FIELD(amun_c2st, retained, 32, 8);
FIELD(amun_c2st, all_null_mean, 40, 8);
FIELD(amun_c2st, all_null_sd, 48, 8);
FIELD(amun_c2st, retained_null_mean, 56, 8);
FIELD(amun_c2st, retained_null_sd, 64, 8);

SIZE(amun_ulira_options, 40);
FIELD(amun_ulira_options, struct_size, 0, 8);
FIELD(amun_ulira_options, variance, 8, 4);
FIELD(amun_ulira_options, centre, 12, 4);
FIELD(amun_ulira_options, holdout, 16, 4);
FIELD(amun_ulira_options, score, 20, 4);
FIELD(amun_ulira_options, floor, 24, 8);
FIELD(amun_ulira_options, neighbour, 32, 8);

SIZE(amun_ulira, 88);
FIELD(amun_ulira, struct_size, 0, 8);
FIELD(amun_ulira, unlearned, 8, 8);
FIELD(amun_ulira, retrained, 16, 8);
FIELD(amun_ulira, rows, 24, 8);
FIELD(amun_ulira, auc, 32, 8);
FIELD(amun_ulira, balanced_accuracy, 40, 8);
FIELD(amun_ulira, flagged, 48, 8);
FIELD(amun_ulira, flagged_retrained, 56, 8);
FIELD(amun_ulira, gap, 64, 8);
FIELD(amun_ulira, null_mean, 72, 8);
FIELD(amun_ulira, null_sd, 80, 8);

SIZE(amun_ulira_samples, 56);
FIELD(amun_ulira_samples, struct_size, 0, 8);
FIELD(amun_ulira_samples, unlearned, 8, 8);
FIELD(amun_ulira_samples, unseen, 16, 8);
FIELD(amun_ulira_samples, auc, 24, 8);
FIELD(amun_ulira_samples, accuracy, 32, 8);
FIELD(amun_ulira_samples, tpr_1, 40, 8);
FIELD(amun_ulira_samples, tpr_01, 48, 8);

SIZE(amun_distance, 144);
FIELD(amun_distance, struct_size, 0, 8);
FIELD(amun_distance, models, 8, 8);
FIELD(amun_distance, rows, 16, 8);
FIELD(amun_distance, tv, 24, 8);
FIELD(amun_distance, tv_null, 32, 8);
FIELD(amun_distance, tv_null_sd, 40, 8);
FIELD(amun_distance, js, 48, 8);
FIELD(amun_distance, js_null, 56, 8);
FIELD(amun_distance, js_null_sd, 64, 8);
FIELD(amun_distance, kl, 72, 8);
FIELD(amun_distance, kl_null, 80, 8);
FIELD(amun_distance, kl_null_sd, 88, 8);
FIELD(amun_distance, routing_tv, 96, 8);
FIELD(amun_distance, routing_tv_null, 104, 8);
FIELD(amun_distance, routing_tv_null_sd, 112, 8);
FIELD(amun_distance, activation, 120, 8);
FIELD(amun_distance, activation_null, 128, 8);
FIELD(amun_distance, activation_null_sd, 136, 8);

SIZE(amun_svcmia_options, 24);
FIELD(amun_svcmia_options, struct_size, 0, 8);
FIELD(amun_svcmia_options, limit, 8, 8);
FIELD(amun_svcmia_options, seed, 16, 8);

SIZE(amun_svcmia, 88);
FIELD(amun_svcmia, struct_size, 0, 8);
FIELD(amun_svcmia, members, 8, 8);
FIELD(amun_svcmia, nonmembers, 16, 8);
FIELD(amun_svcmia, queries, 24, 8);
FIELD(amun_svcmia, limit, 32, 8);
FIELD(amun_svcmia, seed, 40, 8);
FIELD(amun_svcmia, confidence, 48, 8);
FIELD(amun_svcmia, correctness, 56, 8);
FIELD(amun_svcmia, entropy, 64, 8);
FIELD(amun_svcmia, modified_entropy, 72, 8);
FIELD(amun_svcmia, probabilities, 80, 8);

VALUE(AMUN_MIANN_LOGITS, 1);
VALUE(AMUN_MIANN_LOGPROBS, 2);
VALUE(AMUN_MIANN_PROBS, 3);
VALUE(AMUN_MIANN_SCALAR, 4);
VALUE(AMUN_MIANN_LINEAR, 1);
VALUE(AMUN_MIANN_RBF, 2);
VALUE(AMUN_MIANN_HINGE, 3);
VALUE(AMUN_ULIRA_PER_SAMPLE, 1);
VALUE(AMUN_ULIRA_POOLED, 2);
VALUE(AMUN_ULIRA_GLOBAL_REF, 3);
VALUE(AMUN_ULIRA_CENTRE_AUTO, 1);
VALUE(AMUN_ULIRA_CENTRE_MEAN, 2);
VALUE(AMUN_ULIRA_CENTRE_MEDIAN, 3);
VALUE(AMUN_ULIRA_EACH, 1);
VALUE(AMUN_ULIRA_LAST, 2);
VALUE(AMUN_ULIRA_OWN, 1);
VALUE(AMUN_ULIRA_NEIGHBOUR, 2);
VALUE(AMUN_ULIRA_JOINT, 3);
VALUE(AMUN_ULIRA_UNSEEN, 0);
VALUE(AMUN_ULIRA_UNLEARNED, 1);
VALUE(AMUN_ULIRA_MEMBER, 2);

int main(void)
{
    printf("1..1\nok 1 - sizes, offsets and values are those that were released\n");
    return 0;
}
