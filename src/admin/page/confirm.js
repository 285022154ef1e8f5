/** A question with a yes and a no. */
import { wordsOf } from './api.js';
import { byId } from './dom.js';

/**
 * Asks, and acts on a yes. Resolves when the dialog is closed.
 *
 * @param {{
 *   title: string, content: (Node | string)[], yes: string,
 *   asksWhy?: boolean, act: (why: string) => Promise<void>,
 * }} question asksWhy: a reason must be given
 */
export async function confirm({ title, content, yes, asksWhy = false, act }) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = title;
  byId('confirm-text').replaceChildren(...content);
  byId('confirm-error').textContent = '';
  const button = byId('confirm-yes');
  button.textContent = yes;
  const why = byId('confirm-reason');
  why.value = '';
  byId('confirm-reason-field').hidden = !asksWhy;
  button.onclick = async () => {
    if (asksWhy && why.value.trim() === '') {
      byId('confirm-error').textContent = 'Say why: the audit log keeps it.';
      why.focus();
      return;
    }
    button.disabled = true;
    try {
      await act(why.value.trim());
      dialog.close();
    } catch (error) {
      byId('confirm-error').textContent = wordsOf(error);
    } finally {
      button.disabled = false;
    }
  };
  byId('confirm-no').onclick = () => dialog.close();
  const { promise, resolve } = Promise.withResolvers();
  dialog.addEventListener('close', resolve, { once: true });
  dialog.showModal();
  await promise;
}
