# Entry point of `snakemake --cores N`. The default target of an included file does not count, so it is named here.
include: "workflow/Snakefile"


rule study:
    default_target: True
    input:
        rules.all.input,
