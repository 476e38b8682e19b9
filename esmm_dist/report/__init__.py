"""What a person looks at: pictures and pages of data sets, runs, and of what a model uses.

Numbers are computed apart from the pictures that show them (``data_statistics``, ``run_history``, ``run_scores``,
``importance``, ``compare_runs``), pictures know no files (``pictures``, ``page``), and the pages put both together
(``data_page``, ``run_page``). Nothing here trains or writes a data set.
"""
