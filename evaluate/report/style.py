"""The page's style sheet: dark on light, one column of text, tables that scroll on their own."""

STYLE = """\
:root { --ink: #1d2733; --soft: #55636f; --line: #d5dce3; --pale: #f4f6f8; --link: #1f5fa8;
  --font: "Noto Sans", "Source Sans 3", "Segoe UI", Roboto, "Helvetica Neue", Arial,
    "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC",
    "Source Han Sans SC", "WenQuanYi Micro Hei", sans-serif;
  --mono: "SF Mono", Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; }
* { box-sizing: border-box }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100% }
body { margin: 0 auto; padding: 0 1.25rem 4rem; max-width: 66rem; background: #fff;
  color: var(--ink); font: 16px/1.6 var(--font); overflow-wrap: anywhere }
header { padding: 2.5rem 0 1rem; border-bottom: 1px solid var(--line) }
h1 { margin: 0 0 .4rem; font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2;
  text-wrap: balance }
header p { margin: 0 0 1rem; color: var(--soft) }
h2 { margin: 2.8rem 0 .8rem; font-size: 1.35rem; line-height: 1.3 }
h3 { margin: 1.6rem 0 .5rem; font-size: 1rem }
p { max-width: 46rem; margin: .6rem 0 }
a { color: var(--link) }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 0; padding: 0;
  list-style: none; font-size: .92rem }
pre { font: .86em/1.6 var(--mono) }
pre { padding: .8rem 1rem; background: var(--pale); border-radius: 6px; white-space: pre-wrap }
.scroll { overflow-x: auto; margin: .6rem 0; max-width: 100% }
table { width: max-content; border-collapse: collapse; font-size: .92rem;
  font-variant-numeric: tabular-nums; overflow-wrap: normal }
th, td { padding: .32rem .6rem; text-align: right; vertical-align: top; white-space: nowrap }
th { max-width: 6.5rem; border-bottom: 2px solid var(--line); color: var(--soft); font-weight: 600;
  line-height: 1.35; white-space: normal; word-break: keep-all; vertical-align: bottom }
td { border-bottom: 1px solid var(--line) }
th.left, td.left, th.code, td.code { text-align: left }
td.left { max-width: 19rem; white-space: normal; overflow-wrap: break-word }
td.code { font: .86em/1.8 var(--mono) }
th:first-child, td:first-child { padding-left: 0 }
tr.apart td { color: var(--soft); background: var(--pale) }
tr.apart td:first-child { padding-left: .6rem }
details { margin: .8rem 0 } summary { cursor: pointer; color: var(--link) }
figure { margin: 0 } figcaption { font-size: .92rem; font-weight: 600 }
figcaption::first-letter, dt::first-letter { text-transform: uppercase }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: 1.6rem 2rem; margin: 1rem 0 }
.figures figure { max-width: 34rem }
svg { display: block; width: 100%; height: auto }
svg text { font-family: var(--font) !important }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr));
  gap: .8rem; margin: 1rem 0 }
.facts div { padding: .7rem .9rem; background: var(--pale); border-radius: 6px }
.facts dt { color: var(--soft); font-size: .86rem }
.facts dd { margin: 0; font-size: 1.3rem; font-weight: 600; line-height: 1.35 }
.facts small { display: block; color: var(--soft); font-size: .8rem; font-weight: 400 }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr));
  gap: 1.2rem 1rem; margin: 1rem 0 }
.gallery img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  background: var(--pale); border-radius: 4px }
.gallery figcaption { margin-top: .3rem; font-size: .84rem; font-weight: 400; line-height: 1.4 }
.gallery b, .gallery span { display: block } .gallery span { color: var(--soft) }
@media (min-width: 900px) { table { width: auto } }
@media (max-width: 480px) { th, td { padding: .3rem .45rem } td.left { max-width: 11rem }
  body { padding: 0 .9rem 3rem; font-size: 15px }
  .gallery { grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)) } }
@media print { body { max-width: none; font-size: 10.5pt } nav { display: none }
  figure, tr, .facts div { break-inside: avoid } h2, h3 { break-after: avoid }
  .scroll { overflow: visible } td { white-space: normal } a { color: inherit } }
"""
