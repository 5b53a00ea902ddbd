from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from tenx_files import mtx_text, write_triple

from amlprognosis.cells.discover import discover_samples
from amlprognosis.cells.embed import EmbedSettings, variable_genes
from amlprognosis.cells.pipeline import AtlasSettings, build_atlas, read_atlas, validate_atlas, write_atlas
from amlprognosis.cells.renaming import approved_names
from amlprognosis.cells.reporting import REPORT_COLUMNS
from amlprognosis.errors import InputError

SETTINGS = {
    "quality": {"min_counts": 50, "min_genes": 20, "min_cells": 3},
    "embedding": {"n_variable_genes": 100, "n_components": 10, "epochs": 50, "resolution": 0.3},
}


@pytest.fixture(scope="module")
def built(synthetic, marker_sets):
    return build_atlas(synthetic, SETTINGS, marker_sets, 5, score_gene_sets={"extra": marker_sets["k0"][:5]})


def test_atlas_fulfils_its_contract_and_finds_the_types(built):
    atlas, report = built
    validate_atlas(atlas)
    assert list(report.columns) == REPORT_COLUMNS
    assert adjusted_rand_score(atlas.obs["kind"], atlas.obs["leiden"]) > 0.95
    assert (atlas.obs["cell_type"].astype(str) == atlas.obs["kind"]).mean() > 0.98
    assert (atlas.obs["cell_type_cluster"].astype(str) == atlas.obs["kind"]).mean() > 0.95
    assert (atlas.obs["cell_type_origin"] == "scored").all()
    assert {"score_k0", "score_extra"} <= set(atlas.obs.columns)
    assert "extra" not in atlas.obs["cell_type_scored"].cat.categories
    sizes = atlas.obs["leiden"].value_counts()
    assert sizes.index[0] == "0"


def test_the_source_annotation_is_kept(synthetic, marker_sets):
    adata = synthetic.copy()
    adata.obs["cell_type"] = np.where(adata.obs["kind"] == "k0", "T", None)
    atlas, report = build_atlas(adata, SETTINGS, marker_sets, 5)
    source = atlas.obs["kind"] == "k0"
    assert (atlas.obs.loc[source, "cell_type"] == "T").all()
    assert (atlas.obs["cell_type_origin"] == np.where(source, "source", "scored")).all()
    cross = atlas.uns["cell_type_agreement"]
    assert cross.sort_values("n_cells").iloc[-1][["source", "scored"]].tolist() == ["T", "k0"]
    assert report["reason"].str.contains("adjusted Rand index").any()


def test_two_runs_give_equal_bytes_and_the_file_comes_back(built, synthetic, marker_sets, tmp_path):
    again, report = build_atlas(synthetic, SETTINGS, marker_sets, 5, score_gene_sets={"extra": marker_sets["k0"][:5]})
    pd.testing.assert_frame_equal(report, built[1])
    write_atlas(built[0], tmp_path / "one.h5ad")
    write_atlas(again, tmp_path / "two.h5ad")
    assert (tmp_path / "one.h5ad").read_bytes() == (tmp_path / "two.h5ad").read_bytes()
    back = read_atlas(tmp_path / "one.h5ad")
    np.testing.assert_array_equal(back.X.toarray(), again.X.toarray())
    np.testing.assert_array_equal(back.obsm["X_umap"], again.obsm["X_umap"])
    pd.testing.assert_frame_equal(back.obs, again.obs)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.h5ad", "two.h5ad"]


def test_files_go_the_whole_way(synthetic, marker_sets, tmp_path, write_gz, table_text):
    for sample in ("S1", "S2"):
        part = synthetic[synthetic.obs["sample"] == sample]
        write_gz(
            tmp_path / f"{sample}-D0.dem.txt.gz",
            table_text(list(part.var_names), list(part.obs_names), part.X.toarray()),
        )
        anno = pd.DataFrame({"Cell": part.obs_names, "CellType": part.obs["kind"].to_numpy()})
        write_gz(tmp_path / f"{sample}-D0.anno.txt.gz", anno.to_csv(sep="\t", index=False))
    atlas, report = build_atlas(discover_samples(tmp_path), SETTINGS, marker_sets, 5)
    assert set(atlas.obs["patient"]) == {"S1", "S2"}
    assert (atlas.obs["cell_type"].astype(str) == atlas.obs["cell_type_scored"].astype(str)).mean() > 0.98
    write_atlas(atlas, tmp_path / "a.h5ad")
    assert read_atlas(tmp_path / "a.h5ad").n_obs == atlas.n_obs
    only, _ = build_atlas(discover_samples(tmp_path), {**SETTINGS, "samples": ["S1-D0"]}, marker_sets, 5)
    assert set(only.obs["sample"]) == {"S1-D0"}
    assert len(report)


def test_variable_genes_pool_small_samples(built):
    atlas = built[0].copy()
    atlas.obs["sample"] = ["tiny"] * 2 + ["large"] * (atlas.n_obs - 2)
    assert variable_genes(atlas, 50).sum() == 50
    assert variable_genes(atlas, 10**6).all()


def test_faults_of_settings_and_objects(synthetic, marker_sets, built):
    with pytest.raises(InputError, match="unknown atlas setting 'sample'"):
        AtlasSettings.of({"sample": []})
    with pytest.raises(InputError, match="unknown embedding setting"):
        AtlasSettings.of({"embedding": {"n_neighbours": 3}})
    with pytest.raises(InputError, match="must be > 0"):
        EmbedSettings.of({"resolution": 0})
    assert AtlasSettings.of(AtlasSettings.of(SETTINGS)) == AtlasSettings.of(SETTINGS)
    with pytest.raises(InputError, match="'S9' is not in the atlas"):
        build_atlas(synthetic, {"samples": ["S9"]}, marker_sets, 0)
    with pytest.raises(InputError, match="at least 10"):
        build_atlas(
            synthetic[:5].copy(),
            SETTINGS | {"quality": {"min_counts": 0, "min_cells": 1, "min_genes": 0}},
            marker_sets,
            0,
        )
    with pytest.raises(InputError, match="as a cell type and as a score"):
        build_atlas(synthetic, SETTINGS, marker_sets, 0, score_gene_sets={"k0": ["G000"]})
    with pytest.raises(InputError, match="slash"):
        build_atlas(synthetic, SETTINGS, {"a/b": ["G000"]}, 0)
    no_sample = synthetic.copy()
    del no_sample.obs["sample"]
    with pytest.raises(InputError, match="no column 'sample'"):
        build_atlas(no_sample, SETTINGS, marker_sets, 0)
    logged = built[0].copy()
    del logged.layers["counts"]
    with pytest.raises(InputError, match="neither integer counts"):
        build_atlas(logged, SETTINGS, marker_sets, 0)
    with pytest.raises(InputError, match=r"(?s)layers\['counts'\] is missing"):
        validate_atlas(logged)
    bad = built[0].copy()
    bad.obsm["X_umap"][0, 0] = np.nan
    del bad.obs["phase"]
    with pytest.raises(InputError, match=r"(?s)'phase'.*X_umap"):
        validate_atlas(bad)


def test_unreadable_atlas_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_atlas(tmp_path / "a.h5ad")
    (tmp_path / "a.h5ad").write_text("not hdf5")
    with pytest.raises(InputError, match="not a readable h5ad"):
        read_atlas(tmp_path / "a.h5ad")


def test_an_unannotated_10x_atlas_goes_the_whole_way(synthetic, marker_sets, tmp_path):
    for number, sample in enumerate(("S1", "S2"), start=1):
        part = synthetic[synthetic.obs["sample"] == sample]
        features = "".join(f"E{gene}\t{gene}\tGene Expression\n" for gene in part.var_names)
        write_triple(
            tmp_path,
            f"GSM{number}_{sample}_",
            mtx_text(part.X.toarray().T),
            features,
            "".join(f"AAAC{i}-1\n" for i in range(part.n_obs)),  # the same barcodes in both samples
        )
    settings = {
        "quality": {"min_counts": 50, "min_genes": 20, "min_cells": 3},
        "embedding": {"n_variable_genes": 100, "n_components": 10, "epochs": 50, "resolution": 0.3},
    }
    atlas, report = build_atlas(discover_samples(tmp_path), settings, marker_sets, 5, rename=approved_names)
    assert (atlas.obs["cell_type_origin"] == "scored").all()
    truth = synthetic.obs["kind"].set_axis(_names(synthetic))
    assert (atlas.obs["cell_type"].astype(str) == truth.reindex(atlas.obs_names)).mean() > 0.95
    assert atlas.obs["malignant"].isna().all()
    assert set(atlas.obs["patient"]) == {"S1", "S2"}
    assert atlas.var["gene_id"].str.startswith("EG").all()
    write_atlas(atlas, tmp_path / "a.h5ad")
    assert read_atlas(tmp_path / "a.h5ad").n_obs == atlas.n_obs
    assert report["reason"].str.contains("typed by gene-set scores").any()


def _names(adata) -> list[str]:
    seen: dict[str, int] = {}
    names = []
    for sample in adata.obs["sample"]:
        names.append(f"{sample}_AAAC{seen.get(sample, 0)}-1")
        seen[sample] = seen.get(sample, 0) + 1
    return names
