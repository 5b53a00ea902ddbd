"""Small GEO files for the tests of this folder."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("AMLPROGNOSIS_SHARED", Path(__file__).resolve().parents[3].parent / "shared"))
MIRROR = SHARED / "mirror" / "geo"
realdata = [pytest.mark.realdata, pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} does not exist")]

MATRIX = """!Series_title\t"t"
!Series_pubmed_id\t"123"
!Series_supplementary_file\t"ftp://x/suppl/counts.csv.gz"

!Sample_title\t"one"\t"two"\t"three"
!Sample_geo_accession\t"GSM1"\t"GSM2"\t"GSM3"
!Sample_characteristics_ch1\t"age: 61"\t"os: 3"\t""
!Sample_characteristics_ch1\t"os: 5:2"\t"age: 40"\t"age: 33"
!Sample_platform_id\t"GPL96"\t"GPL96"\t"GPL96"
!series_matrix_table_begin
"ID_REF"\t"GSM1"\t"GSM2"\t"GSM3"
"1_at"\t1.5\t2\t
"2_at"\t-1\t4e1\t7
!series_matrix_table_end
"""
PLATFORM = """^Annotation
!Annotation_platform = GPL96
#ID = ID
!platform_table_begin
ID\tGene title\tGene symbol\tGene ID
1_at\ta\tTP53\t1
2_at\tb\tDDR1///MIR4640\t2
3_at\tc\t\t
!platform_table_end
"""


def sample(name: str, platform: str, values: dict[str, str], *texts: str) -> str:
    """A sample of a SOFT family."""
    lines = [f"^SAMPLE = {name}", f"!Sample_title = title of {name}", f"!Sample_geo_accession = {name}"]
    lines += [f"!Sample_characteristics_ch1 = {text}" for text in texts]
    lines += [f"!Sample_platform_id = {platform}", "#ID_REF =", "#VALUE = log2 signal", "!sample_table_begin"]
    lines += ["ID_REF\tVALUE\tDETECTION P", *(f"{probe}\t{value}\t0.01" for probe, value in values.items())]
    return "\n".join([*lines, "!sample_table_end"])


FAMILY = "\n".join(
    [
        "^DATABASE = GeoMiame\n!Database_name = GEO",
        "^SERIES = GSE1\n!Series_title = t",
        *(f"!Series_sample_id = GSM{i}" for i in (1, 2, 3)),
        "^PLATFORM = GPL97\n!Platform_title = other\n!platform_table_begin\nID\tGene Symbol\n9_at\tGATA2\n"
        "!platform_table_end",
        "^PLATFORM = GPL96\n!Platform_title = own\n!platform_table_begin\nID\tGene Symbol\n1_at\tTP53\n2_at\tFLT3\n"
        "!platform_table_end",
        sample("GSM1", "GPL96", {"1_at": "1.5", "2_at": "-1"}, "age: 61", "os: 5:2"),
        sample("GSM3", "GPL97", {"9_at": "4"}, "age: 50"),
        sample("GSM2", "GPL96", {"1_at": "2", "2_at": ""}, "os: 3", "age: 40"),
        "",
    ]
)
DATASET = """^DATABASE = Geo
!Database_name = Gene Expression Omnibus (GEO)
^DATASET = GDS1
!dataset_title = t
!dataset_platform = GPL97
^SUBSET = GDS1_1
!subset_dataset_id = GDS1
!subset_description = RCC
!subset_sample_id = GSM1,GSM2
!subset_type = disease state
^SUBSET = GDS1_2
!subset_dataset_id = GDS1
!subset_description = normal
!subset_sample_id = GSM3
!subset_type = disease state
^DATASET = GDS1
#ID_REF = Platform reference identifier
#IDENTIFIER = identifier
#GSM1 = Value for GSM1: first; src: kidney
#GSM2 = Value for GSM2: second; src: kidney
#GSM3 = Value for GSM3: third; src: kidney
!dataset_table_begin
ID_REF\tIDENTIFIER\tGSM1\tGSM2\tGSM3
1_at\tPRPF8\t4254.000\t5298.200\t1
2_at\tCAPNS1\t17996.200\tnull\t-2.5
!dataset_table_end
"""


def write(folder: Path, text: str, name: str = "m.txt") -> Path:
    """A file, gzipped if its name says so."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if name.endswith(".gz") else text.encode())
    return path


def matrix_of(samples: dict[str, dict[str, str]], platform: str = "GPL96", **fields: list[str]) -> str:
    """A series matrix of samples x probes."""
    names = list(samples)
    probes = list(dict.fromkeys(probe for values in samples.values() for probe in values))
    rows = [("!Sample_title", [f"title {name}" for name in names]), ("!Sample_geo_accession", names)]
    rows += [(f"!Sample_{key}", values) for key, values in fields.items()]
    rows += [
        ("!Sample_platform_id", [platform] * len(names)),
        ("!Sample_data_row_count", [str(len(probes))] * len(names)),
    ]
    lines = ['!Series_title\t"t"', "", *("\t".join([key, *(f'"{v}"' for v in values)]) for key, values in rows)]
    lines += ["!series_matrix_table_begin", "\t".join(['"ID_REF"', *(f'"{name}"' for name in names)])]
    lines += ["\t".join([f'"{probe}"', *(samples[name].get(probe, "") for name in names)]) for probe in probes]
    return "\n".join([*lines, "!series_matrix_table_end", ""])
