/** The saved questions of the open project. The server has no place for them, so this browser keeps them. */

import { signal } from '@preact/signals';
import { readQuestions, withQuestion, type Question } from '../lib/questions.js';
import { words } from '../words/index.js';
import { projectId } from './route.js';
import { watch } from './watch.js';

export const questions = signal<Question[]>([]);

const keyOf = (project: string | null) => `eyeline.questions.${project}`;

function load(): void {
  try {
    questions.value = readQuestions(localStorage.getItem(keyOf(projectId.value)));
  } catch {
    questions.value = [];
  }
}

watch(projectId, load);
addEventListener('storage', ({ key }) => key === keyOf(projectId.peek()) && load());

/** Throws a sentence where the browser stores nothing. */
function store(list: Question[]): void {
  try {
    localStorage.setItem(keyOf(projectId.value), JSON.stringify(list));
  } catch {
    throw new Error(words.insight.saved.noStorage);
  }
  questions.value = list;
}

export const saveQuestion = (question: Question): void => store(withQuestion(questions.value, question));

export const dropQuestion = (name: string): void => store(questions.value.filter((each) => each.name !== name));
