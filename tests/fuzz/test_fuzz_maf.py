from __future__ import annotations

import gzip
import re

from as_read import decoded, harmless
from hypothesis import given
from hypothesis import strategies as st
from mangle import outcome, spoiled

from amlprognosis.errors import InputError
from amlprognosis.genomics.maf import read_maf

HEADER = ["Hugo_Symbol", "Center", "Variant_Classification", "Tumor_Sample_Barcode", "HGVSp_Short", "t_depth"]
CLASSES = ("Missense_Mutation", "Silent", "Frame_Shift_Ins", "3'UTR", "Splice_Site")
KEYS = {"gene": 0, "variant_class": 2, "sample": 3, "change": 4}


def maf() -> str:
    lines = ["#version gdc-1.0.0", "#filedate 20240101", "\t".join(HEADER)]
    for i in range(15):
        sample = f"TCGA-AB-{2800 + i % 6}-03A-01D-0739-09"
        lines.append(f"GENE{i}\tWUGSC\t{CLASSES[i % 5]}\t{sample}\tp.R{100 + i}H\t{30 + i}")
    return "\n".join(lines) + "\n"


def rows_of(text: str) -> list[dict[str, str]]:
    """Variants, read as plainly as can be: every line below the header counts."""
    lines = text.split("\n")
    while lines[0].startswith("#") or not lines[0]:
        del lines[0]
    header = [name.strip() for name in lines[0].split("\t")]
    found = []
    for line in lines[1:]:
        if line:
            cells = dict(zip(header, line.split("\t"), strict=True))
            found.append({key: cells.get(HEADER[place], "").strip() for key, place in KEYS.items()})
    return found


TRUTH = rows_of(maf())


@given(data=st.data(), zipped=st.booleans())
def test_a_damaged_file_is_refused_or_read_as_it_stands(tmp_path_factory, data, zipped):
    file = data.draw(spoiled(maf(), zipped=zipped))
    path = tmp_path_factory.mktemp("maf") / ("a.maf.gz" if zipped else "a.maf")
    found = outcome(read_maf, path, file.content)
    if found is None:
        assert not harmless(file)
        return
    text = decoded(gzip.decompress(file.content) if zipped else file.content)
    assert found.to_dict("records") == rows_of(text)
    if harmless(file):
        assert found.to_dict("records") == TRUTH


@given(
    row=st.integers(3, 17),
    cell=st.integers(0, 5),
    word=st.sampled_from(["", " ", "missense", "a\tb", "Silent", "#", '"', "NA"]),
)
def test_the_line_of_a_fault_is_named(tmp_path_factory, row, cell, word):
    lines = maf().split("\n")
    cells = lines[row].split("\t")
    cells[cell] = word
    lines[row] = "\t".join(cells)
    path = tmp_path_factory.mktemp("maf") / "a.maf"
    path.write_text("\n".join(lines))
    fault, found = "", None
    try:
        found = read_maf(path)
    except InputError as error:
        fault = str(error)
    if found is None:
        assert re.search(rf"a\.maf: line {row + 1}\b", fault), fault
        return
    assert len(found) == 15
    assert found.to_dict("records") == rows_of(path.read_text())
