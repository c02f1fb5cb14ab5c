/** Questions in SQL that were saved by name. */

export interface Question {
  name: string;
  query: string;
  /** On the dashboard. */
  isPinned: boolean;
}

/** Questions kept of one project. */
export const QUESTIONS_MAX = 50;
/** Pinned questions that the dashboard asks. */
export const PINNED_MAX = 6;

const isQuestion = (value: unknown): value is Question => {
  const { name, query, isPinned } = (value ?? {}) as Partial<Question>;
  return typeof name === 'string' && name !== '' && typeof query === 'string' && typeof isPinned === 'boolean';
};

/** Reads what was stored; whatever is no question is left out. */
export function readQuestions(stored: string | null): Question[] {
  try {
    const found: unknown = JSON.parse(stored ?? '[]');
    return Array.isArray(found) ? found.filter(isQuestion).slice(0, QUESTIONS_MAX) : [];
  } catch {
    return [];
  }
}

/** The list with this question in it: in the place of one of the same name, else first. */
export function withQuestion(list: Question[], question: Question): Question[] {
  if (list.some(({ name }) => name === question.name)) return list.map((each) => (each.name === question.name ? question : each));
  return [question, ...list].slice(0, QUESTIONS_MAX);
}
