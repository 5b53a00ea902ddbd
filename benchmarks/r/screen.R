# Univariate Cox screen with survival's coxph.fit in a loop: n=, p=, seed= (data made alike, not the same numbers).
suppressPackageStartupMessages(library(survival))
a <- strsplit(commandArgs(TRUE), "="); a <- setNames(as.numeric(sapply(a, `[`, 2)), sapply(a, `[`, 1))
set.seed(1); n <- a["n"]; p <- a["p"]
x <- matrix(rnorm(n * p), n, p)
death <- rexp(n) * 500 * exp(-as.numeric(x[, 1:10] %*% seq(0.5, -0.5, length.out = 10)))
censoring <- rexp(n) * 1200
y <- Surv(ceiling(pmin(death, censoring)), death <= censoring)
control <- coxph.control()
once <- function() for (j in seq_len(p))
  coxph.fit(x[, j, drop = FALSE], y, NULL, NULL, 0, control, NULL, "efron", as.character(seq_len(n)))
seconds <- replicate(3, system.time(once())[["elapsed"]])
cat("@seconds", median(seconds), "\n")
