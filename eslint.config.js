import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

const LONGEST_FILE = 300;
const LONGEST_FUNCTION = 50;
/** Lists, which may be longer than other files: one entry after the other, no logic between them. */
const LISTS = ['deploy/grafana/boards.ts'];

export default tseslint.config(
  { ignores: ['**/dist/', '.tap/', 'node_modules/'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  prettier,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      'no-control-regex': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['test/**', 'bench/**'],
    rules: {
      // tap's t.test() and t.teardown() are awaited by tap itself.
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    // The page of the admin listener (src/admin/page, plain JavaScript) is part of src.
    files: ['{src,packages,bench,demo,deploy,docs,test/support}/**/*.{ts,js}'],
    rules: {
      'max-lines': ['error', LONGEST_FILE],
      'max-lines-per-function': ['error', LONGEST_FUNCTION],
    },
  },
  { files: LISTS, rules: { 'max-lines': 'off' } },
  { files: ['**/*.js'], ...tseslint.configs.disableTypeChecked },
  // Names of the browser are checked by tsconfig.page.json.
  { files: ['src/admin/page/*.js'], rules: { 'no-undef': 'off' } },
);
