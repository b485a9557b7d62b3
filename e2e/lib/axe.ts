import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { expect, type Page } from '@playwright/test';
import type { AxeResults } from 'axe-core';

const source = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Fails on anything that axe finds on the page, in light and in dark, as wide as it is and as narrow as a phone. */
export async function axe(page: Page): Promise<void> {
  // Evaluated, not added as a script: the page's own policy would refuse that, as it should.
  await page.evaluate(await source);
  const wide = page.viewportSize();
  for (const width of [wide?.width ?? 1280, 360]) {
    await page.setViewportSize({ width, height: wide?.height ?? 720 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      const { violations } = await page.evaluate(
        () => (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
      );
      const found = violations.flatMap(({ id, help, nodes }) =>
        nodes.map((node) => `${id}: ${help}\n  ${node.html}\n  ${node.failureSummary?.replaceAll('\n', '\n  ')}`),
      );
      expect(found, `axe on ${page.url()}, ${colorScheme}, ${width} wide`).toEqual([]);
    }
  }
  if (wide) await page.setViewportSize(wide);
  await page.emulateMedia({ colorScheme: null });
}
