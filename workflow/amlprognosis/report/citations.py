"""What to cite: methods and software of every study."""

from __future__ import annotations

# What, where, DOI.
CITATIONS: tuple[tuple[str, str, str], ...] = (
    ("Uno's C", "Uno et al., Stat Med 2011;30:1105", "10.1002/sim.4154"),
    ("Time-dependent AUC", "Uno et al., JASA 2007;102:527", "10.1198/016214507000000149"),
    ("Brier score with censoring", "Graf et al., Stat Med 1999;18:2529",
     "10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5"),
    ("Calibration of survival predictions", "McLernon et al., Ann Intern Med 2023;176:105", "10.7326/M22-0844"),
    ("ICI, E50, E90", "Austin et al., Stat Med 2020;39:2714", "10.1002/sim.8570"),
    ("D-calibration", "Haider et al., JMLR 2020;21(85)", ""),
    ("Decision curves", "Vickers and Elkin, Med Decis Making 2006;26:565", "10.1177/0272989X06295361"),
    ("Decision curves with censoring", "Vickers et al., BMC Med Inform Decis Mak 2008;8:53", "10.1186/1472-6947-8-53"),
    ("Restricted mean survival", "Uno et al., J Clin Oncol 2014;32:2380", "10.1200/JCO.2014.55.2208"),
    ("Prevalidation", "Tibshirani and Efron, Stat Appl Genet Mol Biol 2002;1:1", "10.2202/1544-6115.1000"),
    ("Random effects with few cohorts", "Hartung and Knapp, Stat Med 2001;20:1771", "10.1002/sim.791"),
    ("Prediction interval", "IntHout et al., BMJ Open 2016;6:e010247", "10.1136/bmjopen-2015-010247"),
    ("Meta-analysis of prediction models", "Debray et al., BMJ 2017;356:i6460", "10.1136/bmj.i6460"),
    ("Random gene sets as a control", "Venet et al., PLoS Comput Biol 2011;7:e1002240", "10.1371/journal.pcbi.1002240"),
    ("Empirical p-values", "Phipson and Smyth, Stat Appl Genet Mol Biol 2010;9:39", "10.2202/1544-6115.1585"),
    ("The leaky recipe", "Ambroise and McLachlan, PNAS 2002;99:6562", "10.1073/pnas.102102699"),
    ("Stability of selection", "Nogueira et al., JMLR 2018;18(174)", ""),
    ("Minimum sample size", "Riley et al., Stat Med 2019;38:1276", "10.1002/sim.7992"),
    ("TRIPOD+AI", "Collins et al., BMJ 2024;385:e078378", "10.1136/bmj-2023-078378"),
    ("PROBAST", "Wolff et al., Ann Intern Med 2019;170:51", "10.7326/M18-1376"),
    ("PROBAST+AI", "Moons et al., BMJ 2025;388:e082505", "10.1136/bmj-2024-082505"),
    ("Okabe-Ito palette", "Wong, Nat Methods 2011;8:441", "10.1038/nmeth.1618"),
    ("scikit-survival", "Pölsterl, JMLR 2020;21(212)", ""),
    ("XGBoost", "Chen and Guestrin, KDD 2016", "10.1145/2939672.2939785"),
    ("scanpy", "Wolf et al., Genome Biol 2018;19:15", "10.1186/s13059-017-1382-0"),
    ("Snakemake", "Mölder et al., F1000Research 2021;10:33", "10.12688/f1000research.29032.2"),
    ("Vega-Lite", "Satyanarayan et al., IEEE TVCG 2017;23:341", "10.1109/TVCG.2016.2599030"),
)  # fmt: skip
