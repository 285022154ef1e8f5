/** A question with a yes and a no. */
import { wordsOf } from './api.js';
import { byId } from './dom.js';

/**
 * Asks, and acts on a yes. Resolves when the dialog is closed.
 *
 * @param {{ title: string, content: (Node | string)[], yes: string, act: () => Promise<void> }} question
 */
export async function confirm({ title, content, yes, act }) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = title;
  byId('confirm-text').replaceChildren(...content);
  byId('confirm-error').textContent = '';
  const button = byId('confirm-yes');
  button.textContent = yes;
  button.onclick = async () => {
    button.disabled = true;
    try {
      await act();
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
