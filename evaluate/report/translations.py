"""The sentences of the report in other languages: each English sentence and its translation.

The English stands in the code where it is used; a sentence without translation fails the tests.
"""

from typing import Any, Callable, Mapping, NamedTuple

Translate = Callable[..., str]

CHINESE = {
    "Inception-v4 on ImageNet records": "基于 ImageNet 记录集的 Inception-v4",
    "Made from {sources}.": "本页由 {sources} 生成。",
    "Sections": "目录",
    " and ": " 和 ",
    "yes": "是",
    "no": "否",
    "full": "完整",
    "filtered": "去黑名单",
    "top-1 error": "top-1 错误率",
    "top-5 error": "top-5 错误率",
    "top-1 error, %": "top-1 错误率（%）",
    "top-5 error, %": "top-5 错误率（%）",
    "95 % interval": "95 % 置信区间",
    "images": "图片数",
    "crops": "裁剪数",
    "px": "像素",
    "set": "验证集",
    "class": "类别",
    "label {label}": "标签 {label}",
    "folder": "目录",
    "checkpoint sha256": "检查点 sha256",
    "source": "来源",
    "epoch": "轮次",
    "what": "项目",
    "value": "值",
    "At a glance": "概览",
    "there is no evaluation result.": "没有评估结果。",
    "{top}, {set} set": "{set}集 {top}",
    "95 %: {interval}; {images} images, {crops} crops": "95 %：{interval}；{images} 张图片，{crops} 个裁剪",
    "From {name}, the result with the most crops.": "取自裁剪数最多的结果 {name}。",
    "Accuracy": "精度",
    "{folder} has no evaluation result.": "{folder} 中没有评估结果。",
    "Errors are in percent, with 95 % confidence intervals (Wilson). The full set is every "
    "image of the records; the filtered set leaves out the images on the blacklist.":
        "错误率以百分数表示，附 95 % 置信区间（Wilson）。完整集为记录集中的全部图片；去黑名单集不含黑名单上的图片。",
    "{set} set": "{set}集",
    "Grey rows are published figures for the same images and the same number of crops (299 "
    "pixels).":
        "灰色行为已发表的结果：图片相同、裁剪数相同（299 像素）。",
    "No published figure is shown: those of the paper, the ADSL lab and mindcv are for "
    "ILSVRC2012's own validation images and 1, 12 or 144 crops, and appear only next to "
    "results for the same.":
        "未列出已发表的结果：论文、ADSL 实验室和 mindcv 的数字针对 ILSVRC2012 原始验证集及 1、12 或 144 个裁剪，只与相同条件的结果并列。",
    "{names}: no image is on a blacklist, so only the full set is scored.":
        "{names}：没有图片在黑名单上，因此只评估完整集。",
    "{names}: with five classes or fewer the top five include every class, so the top-5 "
    "error is 0.":
        "{names}：类别不超过五个，前五名包含全部类别，top-5 错误率必为 0。",
    "Training": "训练",
    "no run folder was given, or it does not exist.": "未指定训练目录，或目录不存在。",
    "{folder} has no finished epoch yet.": "{folder} 中还没有任何一轮的记录。",
    "epochs": "轮数",
    "of {planned} planned": "计划 {planned} 轮",
    "images per step": "每步图片数",
    "optimizer": "优化器",
    "preset {preset}, {device}": "预设 {preset}，{device}",
    "best single-crop top-1 error": "最佳单裁剪 top-1 错误率",
    "{set} set, epoch {epoch}": "{set}集，第 {epoch} 轮",
    "images per second": "每秒图片数",
    "median of the epochs; {ms} ms per step": "各轮中位数；每步 {ms} 毫秒",
    "training loss, mean per epoch": "训练损失（每轮平均）",
    "learning rate and phases": "学习率及其阶段",
    "single-crop {top}, %": "单裁剪 {top}（%）",
    "phase {phase}": "阶段 {phase}",
    "The run was not scored on a validation set.": "训练时未在验证集上检验。",
    "{file} is missing: the learning rate is the one at the end of each epoch.":
        "没有 {file}：学习率取每轮结束时的值。",
    "Every epoch": "各轮数据",
    "step": "步数",
    "loss": "损失",
    "learning rate": "学习率",
    "ms/step": "毫秒/步",
    "images/s": "图片/秒",
    "waiting for data, %": "等待数据（%）",
    "Accuracy against the number of crops": "精度与裁剪数的关系",
    "no result was made with --curve (python -m evaluate).":
        "没有用 --curve 生成的结果（python -m evaluate）。",
    "{name}: the error when only the first crops are averaged, in the order scale, square, "
    "view.":
        "{name}：只平均前若干个裁剪时的错误率，顺序为尺度、方块、视图。",
    "Single dots are other results of the same checkpoint and records.": "单独的圆点为同一检查点、同一记录集的其他结果。",
    "{top}, % ({name})": "{top}（%，{name}）",
    "Errors by number of crops": "裁剪数增加时的错误率",
    "{set}, {top}": "{set}，{top}",
    "Speed": "速度",
    "there is neither a benchmark table nor a timed evaluation.": "既没有基准测试表，也没有计时的评估。",
    "Evaluations on this page": "本页的评估",
    "ranks": "进程数",
    "device": "设备",
    "images/s per rank": "每进程图片/秒",
    "crops/s per rank": "每进程裁剪/秒",
    "variant": "方式",
    "seconds ({average})": "秒（{average}）",
    "ms/step ({average})": "毫秒/步（{average}）",
    "median": "中位数",
    "mean": "平均",
    "min–max": "最小–最大",
    "{unit}/s": "{unit}/秒",
    "time, × first row": "时间，× 首行",
    "rate, × first row": "速率，× 首行",
    "note": "说明",
    "Machine: {machine}. Settings: {settings}. From {name}.":
        "机器：{machine}。设置：{settings}。来自 {name}。",
    "{title}: {unit} per second": "{title}：每秒 {unit}",
    "Error per class and the most confused pairs": "各类别错误率与最易混淆的类别",
    "no result has its predictions.npz.": "没有带 predictions.npz 的结果。",
    "{name} ({crops} crops), full set: {wrong} of {images} images are wrong; {clean} of "
    "{classes} classes have no error.":
        "取自 {name}（{crops} 个裁剪），完整集：{images} 张图片中 {wrong} 张错误；{classes} 个类别中 {clean} 个没有错误。",
    "The record set was not found, so classes are shown as label numbers (--records).":
        "找不到记录集，类别以标签编号表示（--records）。",
    "top-1 error per class, %": "各类别 top-1 错误率（%）",
    "top-1 error per class, worst first, %": "各类别 top-1 错误率，由高到低（%）",
    "class, worst first": "类别（由高到低）",
    "The {count} worst classes": "错误率最高的 {count} 个类别",
    "All {count} classes, worst first": "全部 {count} 个类别，由高到低",
    "wrong": "错误数",
    "The most confused pairs": "最易混淆的类别",
    "true class": "真实类别",
    "predicted": "预测类别",
    "share of the true class, %": "占真实类别（%）",
    "No image is wrong, so no classes are confused.": "没有错误，无混淆。",
    "Confident mistakes": "高置信度错误",
    "{name} has no wrong image.": "{name} 没有错误。",
    "{name}: the {count} wrong images with the highest predicted probability.":
        "取自 {name}：预测概率最高的 {count} 张错误图片。",
    "Images are left out: the record set of {name} was not found; give it with --records.":
        "未附图片：找不到 {name} 的记录集，请用 --records 指定。",
    "The same as a table": "以上内容的表格",
    "true: {name}": "真实：{name}",
    "{share:.1f} %: {name}": "{share:.1f} %：{name}",
    "image {image_id}": "图片 {image_id}",
    "image {image_id}, blacklisted": "图片 {image_id}，在黑名单上",
    "image id": "图片编号",
    "probability, %": "概率（%）",
    "probability of the true class, %": "真实类别概率（%）",
    "blacklisted": "在黑名单上",
    "Data sheet of the record sets": "记录集数据表",
    "no record set was found; give them with --records.": "找不到记录集，请用 --records 指定。",
    "{folder} ({split})": "{folder}（{split}）",
    "classes": "类别数",
    "images per class: min, median, max": "每类图片数：最少、中位、最多",
    "shards": "分片数",
    "bytes of images, of files": "图片字节数、文件字节数",
    "images shrunk, bytes saved": "缩小的图片数、节省的字节数",
    "layout of the source": "来源目录结构",
    "random seed of the order": "顺序的随机种子",
    "blacklist: ids, stored images flagged": "黑名单：编号数、标记的图片数",
    "none": "无",
    "ILSVRC2012's validation set": "ILSVRC2012 验证集",
    "files repaired, rejected, ignored": "修复、拒收、忽略的文件数",
    "sha256 of the shards": "分片 sha256",
    "sha256 of the source listing": "来源清单 sha256",
    "sha256 of the rows": "记录行 sha256",
    "sha256 of the class names": "类别名 sha256",
    "sha256 of the blacklist": "黑名单 sha256",
    "Repaired, rejected and ignored files of {folder}": "{folder} 中修复、拒收和忽略的文件",
    "file": "文件",
    "action": "处理",
    "reason": "原因",
    "repaired": "修复",
    "rejected": "拒收",
    "ignored": "忽略",
    "not an image by its file name": "按文件名不是图片",
    "{count} more files are listed in {path}.": "另有 {count} 个文件，见 {path}。",
    "Shards of {folder}": "{folder} 的分片",
    "bytes": "字节数",
    "How to reproduce this page": "如何复现",
    "Values of the recipe (config.json)": "训练配方的取值（config.json）",
    "What was evaluated": "评估对象",
    "results": "所属结果",
    "records sha256": "记录集 sha256",
    "blacklist sha256": "黑名单 sha256",
    "Versions": "版本",
    "made by": "所用版本",
    "not recorded (older version)": "未记录（旧版本）",
    "Left out": "未包含的内容",
    "{title}: {reason}": "{title}：{reason}",
    "{path} is neither an evaluation result nor a benchmark table and was not used.":
        "{path} 既不是评估结果也不是基准测试表，未使用。",
    "The record set {folder} no longer exists or has other content; if it was moved, give "
    "it with --records.":
        "记录集 {folder} 已不存在或内容不同；若已移动，请用 --records 指定。",
    "The record set {folder} cannot be used: {error}": "记录集 {folder} 无法使用：{error}",
    "Commands as they were typed.": "以下为当时输入的命令。",
    "Commands of record sets are put together from their manifests: the options that "
    "decide the bytes. SOURCE, GROUND_TRUTH and BLACKLIST stand for the images, the "
    "devkit's ground truth (flat validation folders only) and the list; their digests are "
    "in the data sheet. A manifest does not hold --extensions: repeat it where it was given.":
        "记录集的命令由其清单中决定字节内容的选项组成。SOURCE、GROUND_TRUTH 和 BLACKLIST "
        "分别代表图片目录、开发包中的真值文件（仅用于平铺的验证集目录）和黑名单，其摘要见数据表。"
        "清单不含 --extensions：若当时用过，请照样加上。",
    "The command was not kept (files of an older version): {names}.": "未保存命令（旧版本的文件）：{names}。",
}


class Language(NamedTuple):
    html_code: str  # value of HTML's ``lang`` attribute
    sentences: Mapping[str, str]  # by the English sentence; empty for English itself


LANGUAGES = {"en": Language("en", {}), "zh": Language("zh-CN", CHINESE)}  # by the value of --lang


def translator(language: str) -> Translate:
    """Return ``t(sentence, name=value, …)``: the English sentence in ``language``, filled in.

    Raises:
        KeyError: by ``t``, for a sentence without translation.
    """
    sentences = LANGUAGES[language].sentences

    def t(sentence: str, **values: Any) -> str:
        return (sentences[sentence] if sentences else sentence).format(**values)
    return t
