// A canvas with the sharpness of the screen, and the page's colours for drawing on it.

export function prepare(canvas: HTMLCanvasElement): { g: CanvasRenderingContext2D; width: number; height: number } {
  const ratio = Math.min(devicePixelRatio, 2);
  const width = canvas.clientWidth, height = canvas.clientHeight;
  const W = Math.round(width * ratio), H = Math.round(height * ratio);
  if (canvas.width !== W || canvas.height !== H) {
    canvas.width = W;
    canvas.height = H;
  }
  const g = canvas.getContext('2d')!;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  return { g, width, height };
}

// The page's colours by name, remembered until the theme changes: asking for them makes the browser lay out the page.
const colours = new Map<string, string>();
export function paint(name: string): string {
  let colour = colours.get(name);
  if (!colour) {
    colour = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    colours.set(name, colour);
  }
  return colour;
}
export const forgetColours = () => colours.clear();
export const font = (px: number) => `${px}px system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif`;
