"""A synthetic log in the raw Ali-CCP form, with labels from a planted model whose best AUC is known.

Here belongs everything that makes such a log; nothing here reads logs (the other modules of ``preprocess`` do), and
nothing there may use what only a generator knows. Start at ``write.synthesize``.
"""
