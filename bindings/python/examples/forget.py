#!/usr/bin/env python3
"""Trains on handwritten digits, forgets some of them with AMUN, audits before and after.

Usage: forget.py IMAGES.idx LABELS.idx [EPOCHS [REFERENCES]]"""
import sys

import amun

images, labels = sys.argv[1:3]
epochs, references = [int(text) for text in sys.argv[3:]] + [20, 16][len(sys.argv) - 3:]
recipe = amun.TrainOptions(epochs=epochs, batch=30, lr=0.02, weight_decay=0, schedule="cosine",
                           augment_pad=0, augment_flip=0)
context = amun.Context(threads=1)  # more do not pay for images this small

digits = amun.Dataset.idx(images, labels, context=context)
order = amun.forget_indices(len(digits), len(digits), seed=0)
train, test = digits.subset(order[:900]), digits.subset(order[900:])
forget = amun.forget_indices(90, len(train), seed=1)

model = amun.Model.create("digits", channels=1, height=8, width=8, context=context)
trained = amun.train(model, train, options=recipe)
advset = amun.AdvSet.build(amun.Attack.search(context=context), model, train, forget)
print("forget samples with an adversarial example: %d of %d" % (advset.found, len(advset)))

forgetful = model.clone()
unlearned = amun.unlearn(forgetful, train, forget, advset, method="amun",
                         train=dict(batch=30, augment_pad=0, augment_flip=0))

mia = amun.Mia(train, test, references=references)
mia.train_references(model, options=recipe)
report = amun.Report("digits", model.arch, len(forget), references, context=context)
report.add("original", 1, mia.audit(model, forget), trained.seconds)
report.add("amun", 1, mia.audit(forgetful, forget), unlearned.seconds)
print(report.table())
