"""The words of the report in both languages, one table."""

from typing import Any, Callable, NamedTuple

LANGUAGES = {"en": "en", "zh": "zh-CN"}  # as --lang says it: as HTML does

Translate = Callable[..., str]


class Text(NamedTuple):
    en: str
    zh: str


def speaker(language: str) -> Translate:
    """``say(key, name=value, …)``: the text of that key with the values in it."""
    def say(key: str, **values: Any) -> str:
        return getattr(TEXTS[key], language).format(**values)
    return say


TEXTS = {
    "page.title": Text("Inception-v4 on ImageNet records", "基于 ImageNet 记录集的 Inception-v4"),
    "page.lead": Text("Made from {sources}.", "本页由 {sources} 生成。"),
    "page.contents": Text("Sections", "目录"),
    "and": Text(" and ", " 和 "),
    "yes": Text("yes", "是"),
    "no": Text("no", "否"),
    "set.full": Text("full", "完整"),
    "set.filtered": Text("filtered", "去黑名单"),
    "top1": Text("top-1 error", "top-1 错误率"),
    "top5": Text("top-5 error", "top-5 错误率"),
    "top1.percent": Text("top-1 error, %", "top-1 错误率（%）"),
    "top5.percent": Text("top-5 error, %", "top-5 错误率（%）"),
    "interval": Text("95 % interval", "95 % 置信区间"),
    "images": Text("images", "图片数"),
    "crops": Text("crops", "裁剪数"),
    "pixels": Text("px", "像素"),
    "set": Text("set", "验证集"),
    "class": Text("class", "类别"),
    "label": Text("label {label}", "标签 {label}"),
    "folder": Text("folder", "目录"),
    "checkpoint": Text("checkpoint sha256", "检查点 sha256"),
    "source": Text("source", "来源"),
    "epoch": Text("epoch", "轮次"),
    "what": Text("what", "项目"),
    "value": Text("value", "值"),

    "glance.title": Text("At a glance", "概览"),
    "glance.missing": Text("no result of an evaluation is there.", "没有评估结果。"),
    "glance.label": Text("{top}, {set} set", "{set}集 {top}"),
    "glance.detail": Text("95 %: {interval}; {images} images, {crops} crops",
                          "95 %：{interval}；{images} 张图片，{crops} 个裁剪"),
    "glance.lead": Text("From {name}, the result with the most crops.",
                        "取自裁剪数最多的结果 {name}。"),

    "accuracy.title": Text("Accuracy", "精度"),
    "accuracy.missing": Text("there is no result of an evaluation in {folder}.",
                             "{folder} 中没有评估结果。"),
    "accuracy.lead": Text(
        "Errors in percent with their 95 % confidence intervals (Wilson). The full set is every "
        "image of the records; the filtered set leaves out those on the blacklist.",
        "错误率以百分数表示，附 95 % 置信区间（Wilson）。完整集为记录集中的全部图片；去黑名单集"
        "不含黑名单上的图片。"),
    "accuracy.caption": Text("The {set} set", "{set}集"),
    "accuracy.published": Text(
        "Grey rows are published figures of the same images and the same number of crops "
        "(299 pixels).", "灰色行为已发表的结果：图片相同、裁剪数相同（299 像素）。"),
    "accuracy.no_published": Text(
        "No published figure is shown: the paper's, the ADSL lab's and mindcv's are of "
        "ILSVRC2012's own validation images and of 1, 12 or 144 crops, and stand only beside "
        "results of the same.",
        "未列出已发表的结果：论文、ADSL 实验室和 mindcv 的数字针对 ILSVRC2012 原始验证集及 1、12 或 "
        "144 个裁剪，只与相同条件的结果并列。"),
    "accuracy.no_filtered": Text("{names}: no image is on a blacklist, so only the full set is "
                                 "scored.", "{names}：没有图片在黑名单上，因此只评估完整集。"),
    "accuracy.few_classes": Text("{names}: with five classes or fewer the five best are all of "
                                 "them, so top-5 error is 0.",
                                 "{names}：类别不超过五个，前五名包含全部类别，top-5 错误率必为 0。"),

    "training.title": Text("Training", "训练"),
    "training.no_run": Text("no run folder was given, or it is not there.",
                            "未指定训练目录，或目录不存在。"),
    "training.no_history": Text("{folder} has no epoch in its history yet.",
                                "{folder} 中还没有任何一轮的记录。"),
    "training.epochs": Text("epochs", "轮数"),
    "training.of": Text("of {planned} planned", "计划 {planned} 轮"),
    "training.batch": Text("images a step", "每步图片数"),
    "training.ranks": Text("{ranks} × {batch}", "{ranks} × {batch}"),
    "training.optimizer": Text("optimizer", "优化器"),
    "training.preset": Text("preset {preset}, {device}", "预设 {preset}，{device}"),
    "training.best": Text("best single-crop top-1 error", "最佳单裁剪 top-1 错误率"),
    "training.best_at": Text("{set} set, epoch {epoch}", "{set}集，第 {epoch} 轮"),
    "training.speed": Text("images a second", "每秒图片数"),
    "training.speed_of": Text("median of the epochs; {ms} ms a step", "各轮中位数；每步 {ms} 毫秒"),
    "training.loss": Text("training loss, mean of the epoch", "训练损失（每轮平均）"),
    "training.rate": Text("learning rate and its phases", "学习率及其阶段"),
    "training.errors": Text("single-crop {top}, %", "单裁剪 {top}（%）"),
    "training.phase": Text("phase {phase}", "阶段 {phase}"),
    "training.no_check": Text("The run was not checked on a validation set.",
                              "训练时未在验证集上检验。"),
    "training.no_plan": Text("There is no {file}: the learning rate is that at the end of each "
                             "epoch.", "没有 {file}：学习率取每轮结束时的值。"),
    "training.table": Text("Every epoch", "各轮数据"),
    "training.step": Text("step", "步数"),
    "training.loss_head": Text("loss", "损失"),
    "training.rate_head": Text("learning rate", "学习率"),
    "training.ms": Text("ms/step", "毫秒/步"),
    "training.per_second": Text("images/s", "图片/秒"),
    "training.waiting": Text("waiting for data, %", "等待数据（%）"),

    "curve.title": Text("Accuracy against the number of crops", "精度与裁剪数的关系"),
    "curve.missing": Text("no result was made with --curve (python -m evaluate).",
                          "没有用 --curve 生成的结果（python -m evaluate）。"),
    "curve.lead": Text(
        "{name}: the error when only the first crops are averaged, in the order scale, square, "
        "view.", "{name}：只平均前若干个裁剪时的错误率，顺序为尺度、方块、视图。"),
    "curve.dots": Text("Dots alone are other results of the same checkpoint and records.",
                       "单独的圆点为同一检查点、同一记录集的其他结果。"),
    "curve.chart": Text("{top}, % ({name})", "{top}（%，{name}）"),
    "curve.line": Text("{set} set", "{set}集"),
    "curve.table": Text("Errors as crops are added", "裁剪数增加时的错误率"),
    "curve.head": Text("{set}, {top}", "{set}，{top}"),

    "speed.title": Text("Speed", "速度"),
    "speed.missing": Text("neither a benchmark's table nor an evaluation that was timed is there.",
                          "既没有基准测试表，也没有计时的评估。"),
    "speed.evaluations": Text("Evaluations on this page", "本页的评估"),
    "speed.ranks": Text("ranks", "进程数"),
    "speed.device": Text("device", "设备"),
    "speed.per_rank": Text("images/s per rank", "每进程图片/秒"),
    "speed.crops_per_rank": Text("crops/s per rank", "每进程裁剪/秒"),
    "speed.row": Text("row", "方式"),
    "speed.seconds": Text("seconds ({average})", "秒（{average}）"),
    "speed.ms": Text("ms/step ({average})", "毫秒/步（{average}）"),
    "average.median": Text("median", "中位数"),
    "average.mean": Text("mean", "平均"),
    "speed.spread": Text("least–most", "最小–最大"),
    "speed.rate": Text("{unit}/s", "{unit}/秒"),
    "speed.ratio.time": Text("time, × first row", "时间，× 首行"),
    "speed.ratio.rate": Text("rate, × first row", "速率，× 首行"),
    "speed.note": Text("note", "说明"),
    "speed.about": Text("Machine: {machine}. Settings: {settings}. From {name}.",
                        "机器：{machine}。设置：{settings}。来自 {name}。"),
    "speed.chart": Text("{title}: {unit} a second", "{title}：每秒 {unit}"),

    "classes.title": Text("Error of each class, and the most confused pairs",
                          "各类别错误率与最易混淆的类别"),
    "mistakes.missing": Text("no result has its predictions.npz.", "没有带 predictions.npz 的结果。"),
    "classes.lead": Text(
        "Of {name} ({crops} crops), the full set: {wrong} of {images} images wrong; "
        "{clean} of {classes} classes without a mistake.",
        "取自 {name}（{crops} 个裁剪），完整集：{images} 张图片中 {wrong} 张错误；"
        "{classes} 个类别中 {clean} 个没有错误。"),
    "classes.no_names": Text(
        "The record set is not at hand, so classes are shown as label numbers (--records).",
        "找不到记录集，类别以标签编号表示（--records）。"),
    "classes.chart": Text("top-1 error of each class, %", "各类别 top-1 错误率（%）"),
    "classes.sorted": Text("top-1 error of the classes, worst first, %",
                           "各类别 top-1 错误率，由高到低（%）"),
    "classes.rank": Text("class, worst first", "类别（由高到低）"),
    "classes.worst": Text("The {count} worst classes", "错误率最高的 {count} 个类别"),
    "classes.all": Text("All {count} classes, worst first", "全部 {count} 个类别，由高到低"),
    "classes.wrong": Text("wrong", "错误数"),
    "pairs.caption": Text("The most confused pairs", "最易混淆的类别"),
    "pairs.true": Text("true class", "真实类别"),
    "pairs.said": Text("predicted", "预测类别"),
    "pairs.share": Text("share of the true class, %", "占真实类别（%）"),
    "pairs.none": Text("No image is wrong, so nothing is confused.", "没有错误，无混淆。"),

    "gallery.title": Text("Confident mistakes", "高置信度错误"),
    "gallery.none": Text("{name} has no mistake.", "{name} 没有错误。"),
    "gallery.lead": Text(
        "Of {name}: the {count} wrong images with the most probable prediction.",
        "取自 {name}：预测概率最高的 {count} 张错误图片。"),
    "gallery.no_images": Text(
        "Images are left out: the record set of {name} is not at hand; give it by --records.",
        "未附图片：找不到 {name} 的记录集，请用 --records 指定。"),
    "gallery.table": Text("The same as a table", "以上内容的表格"),
    "gallery.true": Text("true: {name}", "真实：{name}"),
    "gallery.said": Text("{share:.1f} %: {name}", "{share:.1f} %：{name}"),
    "gallery.id": Text("image {image_id}", "图片 {image_id}"),
    "gallery.listed": Text("image {image_id}, blacklisted", "图片 {image_id}，在黑名单上"),
    "gallery.image_id": Text("image id", "图片编号"),
    "gallery.probability": Text("probability, %", "概率（%）"),
    "gallery.true_probability": Text("of the true class, %", "真实类别概率（%）"),
    "gallery.blacklisted": Text("blacklisted", "在黑名单上"),

    "data.title": Text("Data sheet of the record sets", "记录集数据表"),
    "data.missing": Text("no record set is at hand; give them by --records.",
                         "找不到记录集，请用 --records 指定。"),
    "data.caption": Text("{folder} ({split})", "{folder}（{split}）"),
    "data.images": Text("images", "图片数"),
    "data.classes": Text("classes", "类别数"),
    "data.per_class": Text("images a class: least, median, most", "每类图片数：最少、中位、最多"),
    "data.shards": Text("shards", "分片数"),
    "data.bytes": Text("bytes of images, of files", "图片字节数、文件字节数"),
    "data.shrunk": Text("images shrunk, bytes saved", "缩小的图片数、节省的字节数"),
    "data.layout": Text("layout of the source", "来源目录结构"),
    "data.seed": Text("seed of the order", "顺序的随机种子"),
    "data.blacklist": Text("blacklist: ids, stored images marked", "黑名单：编号数、标记的图片数"),
    "data.no_blacklist": Text("none", "无"),
    "data.ilsvrc": Text("ILSVRC2012's validation set", "ILSVRC2012 验证集"),
    "data.remarks": Text("files repaired, rejected, ignored", "修复、拒收、忽略的文件数"),
    "data.records_digest": Text("sha256 of the shards", "分片 sha256"),
    "data.source_digest": Text("sha256 of the source's list", "来源清单 sha256"),
    "data.rows_digest": Text("sha256 of the rows", "记录行 sha256"),
    "data.classes_digest": Text("sha256 of the class names", "类别名 sha256"),
    "data.blacklist_digest": Text("sha256 of the blacklist", "黑名单 sha256"),
    "data.files": Text("Repaired, rejected and ignored files of {folder}",
                       "{folder} 中修复、拒收和忽略的文件"),
    "data.file": Text("file", "文件"),
    "data.state": Text("what was done", "处理"),
    "data.reason": Text("why", "原因"),
    "data.repaired": Text("repaired", "修复"),
    "data.rejected": Text("rejected", "拒收"),
    "data.ignored": Text("ignored", "忽略"),
    "data.not_image": Text("not an image by its name", "按文件名不是图片"),
    "data.more": Text("{count} more files are in {path}.", "另有 {count} 个文件，见 {path}。"),
    "data.shard_table": Text("Shards of {folder}", "{folder} 的分片"),
    "data.shard_bytes": Text("bytes", "字节数"),

    "reproduce.title": Text("How to reproduce this page", "如何复现"),
    "reproduce.lead": Text(
        "The commands that the files tell of. SOURCE and BLACKLIST stand for the images and the "
        "list, whose digests are in the data sheet. What a training was told beside its preset "
        "shows in the values of its recipe, below.",
        "以下命令由文件推出。SOURCE 和 BLACKLIST 代表图片目录和黑名单文件，其摘要见数据表。训练时在"
        "预设之外给出的参数，见下面训练配方的取值。"),
    "reproduce.recipe": Text("Values of the recipe (config.json)", "训练配方的取值（config.json）"),
    "reproduce.digests": Text("What was evaluated", "评估对象"),
    "reproduce.of": Text("of", "所属结果"),
    "reproduce.records": Text("records sha256", "记录集 sha256"),
    "reproduce.blacklist": Text("blacklist sha256", "黑名单 sha256"),
    "reproduce.versions": Text("Versions", "版本"),
    "reproduce.by": Text("made by", "所用版本"),
    "reproduce.unknown": Text("not written down (an older version)", "未记录（旧版本）"),

    "left_out.title": Text("Left out", "未包含的内容"),
    "left_out.section": Text("{title}: {reason}", "{title}：{reason}"),
    "note.stranger": Text("{path} is neither a result nor a benchmark's table, and was not used.",
                          "{path} 既不是评估结果也不是基准测试表，未使用。"),
    "note.records_gone": Text(
        "The record set {folder} is not there any more, or holds other records; if it was moved, "
        "give it by --records.", "记录集 {folder} 已不存在或内容不同；若已移动，请用 --records 指定。"),
    "note.records_bad": Text("The record set {folder} cannot be used: {error}",
                             "记录集 {folder} 无法使用：{error}"),
}
