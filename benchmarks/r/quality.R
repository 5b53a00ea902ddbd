# Out-of-fold risks of R's learners: data= CSV (time, status, genes), folds= CSV (a column per repeat), out= CSV.
suppressPackageStartupMessages({library(survival); library(glmnet); library(ranger); library(gbm)})
a <- strsplit(commandArgs(TRUE), "="); a <- setNames(sapply(a, `[`, 2), sapply(a, `[`, 1))
d <- read.csv(a["data"], check.names = FALSE); folds <- read.csv(a["folds"])
genes <- setdiff(names(d), c("time", "status")); x <- as.matrix(d[genes]); y <- Surv(d$time, d$status)
net <- function(alpha) function(tr, te) {
  m <- cv.glmnet(x[tr, ], y[tr, ], family = "cox", alpha = alpha, nfolds = 10)
  as.numeric(predict(m, x[te, ], s = "lambda.min"))
}
forest <- function(tr, te) {
  m <- ranger(Surv(time, status) ~ ., d[tr, ], num.trees = 1000, min.node.size = 5, num.threads = 1)
  rowSums(predict(m, d[te, ])$chf)
}
boost <- function(tr, te) {
  m <- gbm(Surv(time, status) ~ ., data = d[tr, ], distribution = "coxph", n.trees = 3000, shrinkage = 0.005,
    interaction.depth = 3, n.minobsinnode = 10, cv.folds = 5, n.cores = 1)
  predict(m, d[te, ], n.trees = which.min(m$cv.error))
}
families <- list("Lasso" = net(1), "Enet[alpha=0.1]" = net(0.1), "Enet[alpha=0.5]" = net(0.5),
  "Enet[alpha=0.9]" = net(0.9), "Ridge" = net(0), "RSF" = forest, "GBM" = boost)
out <- list()
for (family in names(families)) for (r in names(folds)) for (k in sort(unique(folds[[r]]))) {
  set.seed(k)
  te <- which(folds[[r]] == k); tr <- which(folds[[r]] != k)
  out[[length(out) + 1]] <- data.frame(family = family, r = r, fold = k, row = te, risk = families[[family]](tr, te))
}
write.csv(do.call(rbind, out), a["out"], row.names = FALSE)
cat("@done 1\n")
