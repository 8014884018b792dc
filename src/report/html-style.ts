import { CHANNEL_COLORS } from './palette.js';

const channelColors = (theme: 0 | 1): string =>
  CHANNEL_COLORS.map((pair, c) => `--channel-${c}:${pair[theme]};`).join('');

/** One stylesheet for screen, phone, dark screen and paper; system fonts only. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;--paper:#fff;--panel:#f6f7f9;--ink:#1c2430;--faint:#5b6675;--line:#d9dee5;--accent:#1f66a8;
--pass:#176b3a;--fail:#a3200d;--pass-paper:#e8f5ec;--fail-paper:#fdeeea;${channelColors(0)}}
@media screen and (prefers-color-scheme:dark){:root{--paper:#12161b;--panel:#1a2027;--ink:#e7ecf2;--faint:#9aa7b6;--line:#323b46;
--accent:#7cb8ef;--pass:#7fd6a0;--fail:#ff9c8a;--pass-paper:#16291e;--fail-paper:#321a16;${channelColors(1)}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main,header,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
h1{font-size:.95rem;font-weight:600;color:var(--faint);margin:1.25rem 0 .6rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;line-height:1.3;margin:0 0 .5rem}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
section{margin:2.75rem 0}
p{margin:.4rem 0;max-width:46rem}
a{color:var(--accent)}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.25rem .5rem}
.verdict{border-left:.4rem solid;border-radius:.4rem;padding:1rem 1.25rem}
.verdict p{max-width:none}
.verdict .sentence{font-size:1.35rem;line-height:1.35;font-weight:600;margin:0}
.verdict.none{border-color:var(--faint);background:var(--panel)}
.advice{display:grid;grid-template-columns:max-content 1fr;gap:.3rem .9rem;margin:.75rem 0 0}
.advice dt{font-weight:700}
.advice dd{margin:0}
.verdict.pass{border-color:var(--pass);background:var(--pass-paper)}
.verdict.fail{border-color:var(--fail);background:var(--fail-paper)}
.subject{color:var(--faint);font-size:.9rem;margin:.75rem 0 0;max-width:none}
.badge{font-weight:700;letter-spacing:.06em}.pass .badge{color:var(--pass)}.fail .badge{color:var(--fail)}
dl.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.75rem 1.25rem;margin:1.25rem 0 0}
dl.figures div{display:flex;flex-direction:column-reverse;justify-content:flex-end}
dl.figures dt{color:var(--faint);font-size:.85rem;line-height:1.3}
dl.figures dd{margin:0;font-size:1.5rem;line-height:1.2;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;margin:1.25rem 0 0;padding:0;font-size:.9rem}
nav a{display:inline-block;padding:.2rem 0}
.scroll{overflow-x:auto;max-width:100%;margin:.5rem 0}
.scroll:focus-visible,canvas:focus-visible,select:focus-visible,button:focus-visible,a:focus-visible,summary:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
th,td{padding:.3rem .75rem .3rem 0;text-align:left;vertical-align:middle;white-space:nowrap;border-bottom:1px solid var(--line)}
tbody th{font-weight:500}
thead th{font-weight:500;color:var(--faint);font-size:.85rem}
.n{text-align:right}
td.wrap{white-space:normal;min-width:14rem;overflow-wrap:anywhere}
.low{color:var(--fail);font-weight:600}
.tag{color:var(--faint);font-size:.85em}
.bar{display:flex;width:12rem;height:.85rem}
.bar i{display:block;height:100%;min-width:1px}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.85rem;color:var(--faint);margin:.5rem 0}
.legend span{display:inline-flex;align-items:center;gap:.4rem}
.legend i{display:inline-block;width:2.75rem;height:.85rem;border-radius:2px;font:700 .8rem/.85rem system-ui,sans-serif;text-align:center}
.legend.keys i{width:.85rem}
figure{margin:1rem 0}
figure .scroll{padding:3px}
canvas{display:block;touch-action:pan-x pan-y;border-radius:2px}
output{display:block;min-height:3em;font-size:.9rem;color:var(--ink);background:var(--panel);border-radius:.3rem;padding:.4rem .6rem}
.controls{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;font-size:.9rem}
select,button{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--line);border-radius:.3rem;padding:.3rem .6rem;max-width:100%}
button{cursor:pointer}
details{margin:.75rem 0}
summary{cursor:pointer;padding:.25rem 0}
pre{background:var(--panel);border-radius:.3rem;padding:.75rem 1rem;overflow-x:auto;font-size:.85rem;line-height:1.45}
svg{max-width:100%;height:auto;display:block}
svg text{fill:var(--faint);font:10px system-ui,sans-serif}
footer{color:var(--faint);font-size:.85rem;border-top:1px solid var(--line);padding-top:.75rem;padding-bottom:2rem}
@media (max-width:40rem){section{margin:2rem 0}.verdict .sentence{font-size:1.15rem}.verdict{padding:.85rem 1rem}dl.figures{grid-template-columns:repeat(2,1fr)}
dl.figures dd{font-size:1.25rem}.bar{width:7rem}th,td{padding-right:.6rem}}
@media print{body{font-size:10.5pt}.controls,nav,.skip,#copy-patch,.map output{display:none}section{break-inside:auto}h2,h3{break-after:avoid}
tr,figure,.verdict{break-inside:avoid}.scroll{overflow:visible}canvas{max-width:100%;height:auto!important}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;
