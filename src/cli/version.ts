/** As in package.json (test/structure.test.ts compares them); a blade has no package.json. */
export const VERSION = '0.1.0';
