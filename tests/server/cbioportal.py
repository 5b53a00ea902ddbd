"""The REST API of cBioPortal over study folders: what /api of www.cbioportal.org answers, as far as it is asked here.

Paths, parameters and fields follow the controllers of https://github.com/cBioPortal/cbioportal: pageSize of at most
10,000,000, pages from 0, lists as JSON arrays, errors as ``{"message": ...}``; profiles are asked for by POST with
one of sampleIds and sampleListId.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server.messages import Request, Response

LARGEST_PAGE = 10_000_000


class CbioportalApi:
    """Handler of a :class:`~server.http_server.FixtureServer`.

    Attributes
    ----------
    folder : Path
        Holds ``<study>/meta_study.txt`` and the files beside it.
    prefix : str
        Path of the portal on the server, such as ``/portal``.
    extra_genes : dict
        Further genes, symbol by Entrez id, that no study measures.
    """

    def __init__(self, folder: Path | str, prefix: str = ""):
        self.folder, self.prefix = Path(folder), prefix
        self.extra_genes: dict[int, str] = {}

    def __call__(self, request: Request) -> Response | None:
        if not request.path.startswith(f"{self.prefix}/api/"):
            return None
        parts = request.path.removeprefix(f"{self.prefix}/api/").strip("/").split("/")
        asked = {key: values[-1] for key, values in request.query.items()}
        size, number = int(asked.get("pageSize", LARGEST_PAGE)), int(asked.get("pageNumber", 0))
        if not 1 <= size <= LARGEST_PAGE or number < 0:
            return _error(400, "pageSize or pageNumber is out of range")
        try:
            found = self._answer(request, parts, asked)
        except LookupError as error:
            return _error(404, str(error.args[0]))
        except ValueError as error:
            return _error(400, str(error))
        if isinstance(found, list) and "pageSize" in asked:
            found = found[number * size : (number + 1) * size]
        return Response.json(found)

    def _answer(self, request: Request, parts: list[str], asked: dict[str, str]) -> Any:
        match parts:
            case ["studies", study]:
                meta = _meta(self._study(study) / "meta_study.txt")
                return {"studyId": study, "name": meta.get("name", ""), "cancerTypeId": meta.get("type_of_cancer", "")}
            case ["studies", study, "molecular-profiles"]:
                return [profile for profile, _ in self._profiles(study)]
            case ["studies", study, "samples"]:
                return [{"sampleId": s, "patientId": p, "studyId": study} for s, p in self._samples(study).items()]
            case ["studies", study, "clinical-data"]:
                return self._clinical(study, asked.get("clinicalDataType", "SAMPLE"))
            case ["genes"]:
                genes = self._genes()
                kinds = {True: "protein-coding", False: "phosphoprotein"}
                return [
                    {"entrezGeneId": g, "hugoGeneSymbol": s, "type": kinds[g > 0]} for g, s in sorted(genes.items())
                ]
            case ["sample-lists", name, "sample-ids"]:
                return self._list(name)
            case ["gene-panels", name]:
                return self._panel(name)
            case ["molecular-profiles", profile, kind, "fetch"] if request.method == "POST":
                return self._fetch(profile, kind, request.json(), asked)
        raise LookupError(f"No endpoint {request.path}")

    def _study(self, study: str) -> Path:
        if not (self.folder / study / "meta_study.txt").is_file():
            raise LookupError(f"Study not found: {study}")
        return self.folder / study

    def _metas(self, study: str) -> Iterator[tuple[dict[str, str], Path]]:
        folder = self._study(study)
        for path in sorted(folder.glob("meta_*.txt")):
            meta = _meta(path)
            if "data_filename" in meta:
                yield meta, folder / meta["data_filename"]

    def _profiles(self, study: str) -> Iterator[tuple[dict[str, Any], Path]]:
        for meta, path in self._metas(study):
            if "stable_id" in meta and "profile_name" in meta:
                yield (
                    {
                        "molecularProfileId": f"{study}_{meta['stable_id']}",
                        "studyId": study,
                        "molecularAlterationType": meta["genetic_alteration_type"],
                        "datatype": meta["datatype"],
                        "name": meta["profile_name"],
                        "showProfileInAnalysisTab": meta.get("show_profile_in_analysis_tab") == "true",
                        "patientLevel": False,
                    },
                    path,
                )

    def _samples(self, study: str) -> dict[str, str]:
        for meta, path in self._metas(study):
            if meta.get("datatype") == "SAMPLE_ATTRIBUTES":
                return {row["SAMPLE_ID"]: row["PATIENT_ID"] for row in _rows(path)}
        return {}

    def _clinical(self, study: str, kind: str) -> list[dict[str, str]]:
        found = []
        for meta, path in self._metas(study):
            if meta.get("datatype") != f"{kind}_ATTRIBUTES":
                continue
            for row in _rows(path):
                names = {"patientId": row["PATIENT_ID"], "studyId": study}
                names |= {"sampleId": row["SAMPLE_ID"]} if kind == "SAMPLE" else {}
                attributes = {k: v for k, v in row.items() if k not in ("PATIENT_ID", "SAMPLE_ID") and v}
                found += [{**names, "clinicalAttributeId": k, "value": v} for k, v in attributes.items()]
        return found

    def _genes(self) -> dict[int, str]:
        """Genes of every study, as a portal has one table of genes."""
        found = dict(self.extra_genes)
        for meta in sorted(self.folder.glob("*/meta_study.txt")):
            for profile, path in self._profiles(meta.parent.name):
                if profile["molecularAlterationType"] == "MRNA_EXPRESSION":
                    found |= {
                        int(row["Entrez_Gene_Id"]): row["Hugo_Symbol"] for row in _rows(path) if row["Hugo_Symbol"]
                    }
        return found

    def _list(self, name: str) -> list[str]:
        for path in sorted(self.folder.glob("*/case_lists/*.txt")):
            meta = _meta(path)
            if meta["stable_id"] == name:
                return meta["case_list_ids"].split("\t")
        raise LookupError(f"Sample list not found: {name}")

    def _panel(self, name: str) -> dict[str, Any]:
        for path in sorted(self.folder.glob("*/data_gene_panel_*.txt")):
            meta = _meta(path)
            if meta.get("stable_id") == name:
                genes = [{"genePanelId": name, "hugoGeneSymbol": gene} for gene in meta["gene_list"].split("\t")]
                return {"genePanelId": name, "genes": genes}
        raise LookupError(f"Gene panel not found: {name}")

    def _panel_data(self, study: str, profile: str, owners: dict[str, str], samples: set[str]) -> list[dict[str, Any]]:
        panels = {}
        for meta, path in self._metas(study):
            if meta.get("genetic_alteration_type") == "GENE_PANEL_MATRIX":
                panels = {row["SAMPLE_ID"]: row[profile.removeprefix(f"{study}_")] for row in _rows(path)}
        panels = {sample: panel for sample, panel in panels.items() if panel != "NA"}
        profiled = {*self._list(f"{study}_sequenced"), *panels}
        return [
            {
                "molecularProfileId": profile,
                "sampleId": sample,
                "patientId": owners[sample],
                "studyId": study,
                **({"genePanelId": panels[sample]} if sample in panels else {}),
                "profiled": sample in profiled,
            }
            for sample in owners
            if sample in samples
        ]

    def _fetch(self, profile_id: str, kind: str, body: dict[str, Any], asked: dict[str, str]) -> list[dict[str, Any]]:
        if ("sampleIds" in body) == ("sampleListId" in body):
            raise ValueError("interceptedMolecularDataFilter: either sampleListId or sampleIds")
        samples = set(body["sampleIds"] if "sampleIds" in body else self._list(body["sampleListId"]))
        for meta in sorted(self.folder.glob("*/meta_study.txt")):
            study = meta.parent.name
            owners = self._samples(study)
            for profile, path in self._profiles(study):
                if profile["molecularProfileId"] == profile_id and kind == "molecular-data":
                    return list(_values(path, profile_id, study, owners, samples, set(body["entrezGeneIds"])))
                if profile["molecularProfileId"] == profile_id and kind == "mutations":
                    return list(_mutations(path, profile_id, owners, samples, asked.get("projection", "SUMMARY")))
                if profile["molecularProfileId"] == profile_id and kind == "gene-panel-data":
                    return self._panel_data(study, profile_id, owners, samples)
        raise LookupError(f"Molecular profile not found: {profile_id}")


def _values(
    path: Path, profile: str, study: str, owners: dict[str, str], samples: set[str], genes: set[int]
) -> Iterator[dict[str, Any]]:
    for row in _rows(path):
        gene = int(row["Entrez_Gene_Id"])
        for sample, text in row.items() if gene in genes else ():
            if sample in samples and text not in ("", "NA"):
                yield {
                    "entrezGeneId": gene,
                    "molecularProfileId": profile,
                    "sampleId": sample,
                    "patientId": owners[sample],
                    "studyId": study,
                    "value": float(text),
                }


def _mutations(
    path: Path, profile: str, owners: dict[str, str], samples: set[str], projection: str
) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(_rows(path)):
        sample = row["Tumor_Sample_Barcode"]
        if sample not in samples or row["Variant_Classification"] in ("Silent", "Intron", "IGR"):
            continue  # a portal does not load these
        entrez = int(row.get("Entrez_Gene_Id") or 0) or 100_000 + number
        detailed = {"gene": {"entrezGeneId": entrez, "hugoGeneSymbol": row["Hugo_Symbol"], "type": "protein-coding"}}
        yield {
            "molecularProfileId": profile,
            "sampleId": sample,
            "patientId": owners[sample],
            "entrezGeneId": entrez,
            **(detailed if projection == "DETAILED" else {}),
            "mutationType": row["Variant_Classification"],
            "mutationStatus": row.get("Mutation_Status", ""),
            "proteinChange": row.get("HGVSp_Short", "").removeprefix("p."),
        }


def _error(status: int, message: str) -> Response:
    return Response.json({"message": message}, status)


def _meta(path: Path) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    header = lines[0].split("\t")
    for line in lines[1:]:
        yield dict(zip(header, line.split("\t"), strict=True))
