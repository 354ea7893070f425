from benchmarks.pictures import make_class_folders


def test_pictures_weigh_what_imagenets_do_on_average(tmp_path):
    make_class_folders(tmp_path, 40)
    sizes = [path.stat().st_size for path in tmp_path.glob("train/*/*.JPEG")]
    assert len(sizes) == 40
    assert 113_000 < sum(sizes) / len(sizes) < 117_000
