/** The element's style, as a constructed sheet: a page's Content-Security-Policy need not allow inline styles. */

// `row-gap` only carries the height of a row, so that any unit is allowed and the browser computes pixels.
// No tile has an opacity, even of 0, nor text that is not seen: each would cost a layer or a layout of its own, and fast
// scrolling brings many tiles in one frame.
const CSS = `
:host{display:block;--_accent:var(--eyeline-accent,Highlight)}
[hidden]{display:none!important}
.grid{position:relative;column-gap:var(--eyeline-gap,6px);row-gap:var(--eyeline-row-height,220px)}
@media (max-width:600px){.grid{row-gap:var(--eyeline-row-height,140px)}}
.tile{box-sizing:border-box;contain:strict;position:absolute;left:0;top:0;overflow:hidden;border-radius:var(--eyeline-radius,4px);background:var(--eyeline-placeholder,#8883)}
.gap{position:absolute;left:0;width:1px;visibility:hidden}
.tile a{position:absolute;inset:0;color:inherit;outline:none}
.tile a:focus-visible::after{content:'';position:absolute;inset:0;border:3px solid var(--_accent);outline:2px solid Canvas;outline-offset:-5px;border-radius:inherit}
.tile img,canvas{position:absolute;inset:0;width:100%;height:100%;object-fit:cover}
.tile img{color:transparent}
.loaded canvas,.broken img{display:none}
.name{position:absolute;inset:auto 0 0;padding:.4em .6em;font:.8em/1.3 system-ui,sans-serif;color:#fff;background:#000b;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;display:none}
a:hover .name,a:focus-visible .name,.broken .name{display:block}
.end{height:1px;margin-top:-1px}
.status{margin:1em 0;text-align:center;font:1em/1.4 system-ui,sans-serif}
button{font:inherit;color:inherit;background:none;border:1px solid;border-radius:4px;padding:.4em .8em;min-width:44px;min-height:44px;cursor:pointer}
button:focus-visible{outline:3px solid var(--_accent);outline-offset:2px}
dialog{box-sizing:border-box;width:100vw;height:100vh;height:100dvh;max-width:none;max-height:none;margin:0;padding:12px;border:0;color:#fff;background:var(--eyeline-backdrop,#111);font:1em/1.4 system-ui,sans-serif;overflow:hidden;overscroll-behavior:contain}
dialog[open]{display:grid;grid-template:auto 1fr auto/auto 1fr auto;gap:8px;align-items:center}
dialog picture{display:contents}
dialog img{grid-area:2/1/3/4;width:100%;height:100%;min-height:0;object-fit:contain}
.close{grid-area:1/3}
.previous{grid-area:3/1}
.next{grid-area:3/3}
.caption{grid-area:3/2;margin:0;text-align:center;overflow-wrap:anywhere}
dialog button:disabled{opacity:.3;cursor:default}
@media (prefers-reduced-motion:no-preference){.name{animation:name .2s}}
@keyframes name{from{opacity:0}}
`;

let sheet: CSSStyleSheet | undefined;

/** Gives a shadow root the element's style; all elements share one sheet. */
export function adoptStyle(root: ShadowRoot): void {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
}
