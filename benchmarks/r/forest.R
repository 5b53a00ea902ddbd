# Random survival forest with ranger: n=, p=, trees=.
suppressPackageStartupMessages({library(ranger); library(survival)})
a <- strsplit(commandArgs(TRUE), "="); a <- setNames(as.numeric(sapply(a, `[`, 2)), sapply(a, `[`, 1))
set.seed(1); n <- a["n"]; p <- a["p"]
x <- matrix(rnorm(n * p), n, p, dimnames = list(NULL, paste0("G", seq_len(p))))
death <- rexp(n) * 500 * exp(-as.numeric(x[, 1:10] %*% seq(0.5, -0.5, length.out = 10)))
censoring <- rexp(n) * 1200
d <- data.frame(time = ceiling(pmin(death, censoring)), status = as.integer(death <= censoring), x)
for (threads in c(1, 2)) {
  seconds <- replicate(3, system.time(ranger(Surv(time, status) ~ ., d, num.trees = a["trees"], min.node.size = 5,
    num.threads = threads))[["elapsed"]])
  cat(paste0("@threads", threads), median(seconds), "\n")
}
