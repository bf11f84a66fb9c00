"""The figures of reports: key in the JSON, name, explanation for readers."""

FIGURES = [
    ("ua", "UA",
     "Accuracy on the forgotten samples, %. The aim is the retrained model's value, not 0: a"
     " model that never saw an image still recognises most of them."),
    ("ra", "RA",
     "Accuracy on the remaining training samples, %. A drop below the retrained model's is "
     "what unlearning cost."),
    ("ta", "TA",
     "Accuracy on test samples, %. As for RA."),
    ("ft_auc", "FT-AUC",
     "Membership inference (RMIA): can the forgotten samples be told from test samples? Area"
     " under the ROC curve, %. Clearly above the retrained model's: still recognisable. "
     "Clearly below: over-unlearned, which gives them away just as well."),
    ("mis", "MIS",
     "Share of the forgotten samples that SVC-MIA calls non-members, %. The retrained "
     "model's value is the aim; neither 0 nor 100 is good in itself."),
    ("gap", "Gap",
     "Mean distance to the retrained model over UA, RA, TA and FT-AUC, in points."),
    ("seconds", "Seconds",
     "Time of the method itself, without the audit."),
]
DETAILS = [
    ("fr_auc", "FR-AUC",
     "Remaining against forgotten samples, %."),
    ("rt_auc", "RT-AUC",
     "Remaining against test samples, %. About 50 for the original model: the audit is "
     "blind."),
    ("ft_tpr_1", "TPR at 1 %",
     "True-positive rate at 1 % false positives, forgotten against test, %."),
    ("ft_tpr_01", "TPR at 0.1 %",
     "The same at 0.1 % false positives."),
    ("ft_auc_sd", "SD of draws",
     "Deviation of FT-AUC over the draws inside one audit, points."),
]
CLASS_FIGURES = [
    ("acc_r", "ACC_r",
     "Accuracy on the test images of the retained classes, %."),
    ("acc_f", "ACC_f",
     "Accuracy on the test images of the forgotten classes, %."),
    ("acc_df", "ACC_f train",
     "Accuracy on the training images of the forgotten classes, %."),
    ("mia_kodge", "MIA (Kodge)",
     "SVC-MIA in the protocol of Kodge et al., %."),
    ("miann_gap", "MIA-NN gap",
     "Distance to the retrained models in how the nearest class accepts the forgotten "
     "images, points. The row of the retrained models is the null: a gap as small as theirs "
     "means nothing."),
    ("miann_top_gap", "Top gap",
     "The same, summed over the nearest classes, points."),
    ("c2st", "C2ST",
     "Classifier two-sample test on the retained classes, AUC in %. Compare with the "
     "retrained row, which may lie far above 50."),
    ("tv", "TV",
     "Total variation to the mean retrained prediction on the forgotten images, %."),
    ("ulira_auc", "U-LiRA",
     "AUC of the likelihood-ratio attack, %; needs three runs and three retrained models."),
    ("seconds", "Seconds",
     "Time of the method itself."),
]

# Figures of examples/class_audit.
AUDITS = {
    "miann_gap": "MIA-NN gap, points", "miann_top_gap": "MIA-NN top gap, points",
    "c2st_all": "C2ST AUC, all classes, %", "c2st_retained": "C2ST AUC, retained classes, %",
    "tv": "total variation", "js": "Jensen-Shannon divergence", "kl": "Kullback-Leibler divergence",
    "routing_tv": "total variation of mean predictions", "activation": "activation distance",
    "ulira_gap": "U-LiRA gap, points",
}
