"""What the tests ask the page itself: where the focus can be seen, what is too pale, what moved."""

HAS_FOCUS_MARK = """
const e = document.activeElement, field = e.closest('.q-field');
if (field) return field.classList.contains('q-field--focused');
const s = getComputedStyle(e);
return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
"""

# Text whose contrast with what is behind it is below 4.5 (3 where it is large), as WCAG 2 counts it.
TOO_PALE = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = colour => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const over = (front, back) => front.map((v, i) => i < 3 ? v * front[3] / 255 + back[i] * (1 - front[3] / 255) : 255);
const behind = element => {
  const layers = [];
  for (let e = element; e; e = e.parentElement) layers.unshift(rgba(getComputedStyle(e).backgroundColor));
  return layers.reduce((back, front) => over(front, back), [255, 255, 255, 255]);
};
const pale = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim()) continue;
  if (element.closest('svg, script, style, [disabled], .nicegui-error-popup')) continue;
  if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
  const style = getComputedStyle(element), back = behind(element), front = over(rgba(style.color), back);
  const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  const contrast = (high + 0.05) / (low + 0.05);
  if (contrast < (large ? 3 : 4.5)) pale.push(`${walker.currentNode.textContent.trim()}: ${contrast.toFixed(2)}`);
}
return pale;
"""

MARK_AND_WATCH = """
window.shifts = [];
new PerformanceObserver(list => list.getEntries().forEach(entry => window.shifts.push(
  entry.value + ' ' + entry.sources.map(s => s.node && s.node.className).join(', ')
))).observe({type: 'layout-shift', buffered: false});
const all = document.querySelectorAll('.grid *:not(.rate-chart *)');
all.forEach(e => e.setAttribute('data-before', '1'));
window.marked = all.length;
"""
