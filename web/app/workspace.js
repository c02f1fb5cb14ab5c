/** What is open: one project with its live news, and one gallery of it in one order. */

import { api } from './api.js';
import { $, say, wordsOf } from './dom.js';
import { short } from './format.js';
import { Debounce, FOLLOWED_MAX, Gallery } from './gallery.js';
import { GalleryView, placeOf, TILES_MAX } from './gallery-view.js';
import { Lightbox } from './lightbox.js';
import { galleryPicker } from './projects.js';
import { writeRoute } from './route.js';
import { Stream } from './stream.js';
import { Tracker } from './tracker.js';

/** A gallery is read again at most this often, however fast its order moves. */
const REFRESH_EVERY_MS = 1000;
/** How often, and for how many files, states are asked for that no live connection will tell. */
const POLL_MS = 5000;
const POLL_FILES = 20;

export class Workspace {
  #project = null;
  #gallery = null;
  #order = null;
  #stream = null;
  #tracker = null;
  #uploads;
  #makingPlace = null;
  #opening = 0;
  #view = new GalleryView($('#grid'), $('#grid-end'));
  #lightbox = new Lightbox($('#lightbox'));
  #refresh = new Debounce(() => this.#follow(), REFRESH_EVERY_MS);
  #galleries = galleryPicker($('#gallery-pick'), () => this.#project.project_id);

  constructor(uploads) {
    this.#uploads = uploads;
    this.#galleries.addEventListener('chosen', ({ detail }) => this.#openGallery(detail.gallery_id));
    this.#connectView();
    $('#order').addEventListener('change', ({ target }) => {
      this.#order = target.value || null;
      this.#openGallery(this.#gallery.id, { sameGallery: true });
    });
    $('#newer-order').addEventListener('click', () => {
      scrollTo({ top: 0 });
      this.#gallery?.refresh();
    });
    document.addEventListener('visibilitychange', () => this.#visibility());
    addEventListener('pagehide', () => this.#tracker?.flush());
    this.#poll();
  }

  get projectId() {
    return this.#project?.project_id ?? null;
  }

  /** Opens a project with one of its galleries (the first when `galleryId` is not given). */
  async openProject(project, { galleryId = null, order = null } = {}) {
    this.close();
    const opening = ++this.#opening;
    this.#project = project;
    this.#order = ['newest', 'weight', 'interest'].includes(order) ? order : null;
    $(`#order input[value="${this.#order ?? ''}"]`).checked = true;
    $('#gallery').hidden = false;
    this.#listen(project.project_id);
    try {
      const gallery = await this.#galleries.load(galleryId);
      if (opening !== this.#opening) return;
      if (gallery) this.#openGallery(gallery.gallery_id);
      else this.#showEmpty();
    } catch (error) {
      if (opening === this.#opening) say($('#gallery-problem'), wordsOf(error));
    }
  }

  /** The gallery for uploads, made with its project when there is none: `{projectId, galleryId, madeProject}`. */
  place() {
    this.#makingPlace ??= this.#makePlace().finally(() => (this.#makingPlace = null));
    return this.#makingPlace;
  }

  async #makePlace() {
    let madeProject = null;
    if (!this.#project) {
      madeProject = await api.createProject('My pictures');
      await this.openProject(madeProject);
    }
    if (!this.#gallery) {
      const gallery = await api.createGallery(this.projectId, 'Gallery');
      this.#galleries.add(gallery);
      this.#openGallery(gallery.gallery_id);
    }
    return { projectId: this.projectId, galleryId: this.#gallery.id, madeProject };
  }

  #listen(projectId) {
    this.#tracker = new Tracker(projectId);
    this.#tracker.addEventListener('trouble', ({ detail }) => say($('#tracker-problem'), detail));
    this.#stream = new Stream(projectId);
    const live = $('#live');
    live.hidden = false;
    const show = (isLive) => {
      live.classList.toggle('on', isLive);
      live.textContent = isLive ? 'Live' : 'Connecting';
    };
    show(false);
    this.#stream.addEventListener('live', ({ detail }) => show(detail));
    this.#stream.addEventListener('live', ({ detail }) => detail && this.#uploads.resume());
    this.#stream.addEventListener('refused', () => (live.hidden = true));
    this.#stream.addEventListener('news', ({ detail }) => this.#news(detail));
    this.#stream.addEventListener('gap', () => {
      this.#uploads.reconcile();
      if (this.#gallery?.loaded) this.#refresh.poke();
    });
    this.#stream.run();
  }

  #news(message) {
    if (message.type === 'gallery.order' && message.gallery_id === this.#gallery?.id) this.#refresh.poke();
    else this.#uploads.news(message);
  }

  /** Shows another gallery, or the same one in another order, whose tiles then glide. */
  #openGallery(galleryId, { sameGallery = false } = {}) {
    this.#gallery?.close();
    this.#refresh.stop();
    if (!sameGallery) this.#view.clear();
    const gallery = new Gallery(galleryId, this.#order);
    this.#gallery = gallery;
    say($('#gallery-problem'), null);
    $('#gallery-pick').hidden = this.#galleries.size < 2;
    gallery.addEventListener('reset', () => this.#draw(gallery));
    gallery.addEventListener('reordered', () => this.#draw(gallery));
    gallery.addEventListener('more', ({ detail }) => {
      this.#view.append(detail);
      this.#drawEnd(gallery);
    });
    gallery.addEventListener('problem', ({ detail }) => say($('#gallery-problem'), detail && wordsOf(detail)));
    writeRoute({ project: this.projectId, gallery: galleryId, order: this.#order });
    this.#describe(galleryId);
    gallery.load();
  }

  #draw(gallery) {
    this.#view.show(gallery.items);
    $('#newer-order').hidden = true;
    say($('#gallery-hint'), gallery.items.length < 2 ? null
      : `Ordered by ${gallery.strategy}. Every view and click counts: open a few photos and watch them move.`);
    $('#code').hidden = false;
    if (gallery.items.length) this.#drawEnd(gallery);
    else this.#showEmpty();
  }

  #drawEnd(gallery) {
    $('#gallery-empty').hidden = true;
    const full = gallery.items.length >= TILES_MAX;
    say($('#gallery-more'), full ? `This page shows the first ${short(TILES_MAX)} photos; the API gives the rest.` : null);
  }

  #showEmpty() {
    say($('#gallery-empty'), 'No photos here yet. Drag some in: they appear here as soon as they are done.');
  }

  /** Follows the moving order, unless that would pull the page away under someone who reads further down. */
  #follow() {
    if (!this.#gallery?.loaded) return this.#gallery?.load();
    if (this.#view.withinFirst(FOLLOWED_MAX)) return this.#gallery.refresh();
    $('#newer-order').hidden = false;
  }

  #connectView() {
    this.#view.addEventListener('end', () => this.#gallery?.more());
    this.#view.addEventListener('seen', ({ detail }) => this.#tracker?.view(placeOf(this.#gallery.id, detail)));
    this.#view.addEventListener('chosen', ({ detail: { item, elsewhere } }) => {
      this.#tracker?.click(placeOf(this.#gallery.id, item));
      if (elsewhere) return;
      // The arrows should walk through one order; what moves meanwhile is shown when the photo is closed.
      this.#refresh.held = true;
      this.#lightbox.open(this.#gallery.items, this.#gallery.items.findIndex((each) => each.image_id === item.image_id));
    });
    this.#lightbox.addEventListener('near-end', () => this.#gallery?.more());
    this.#lightbox.addEventListener('close', ({ detail }) => {
      if (detail) this.#view.focus(detail.image_id);
      this.#visibility();
    });
  }

  /** Asks after uploads whose news does not come here: the connection is down, or another project is open by now. */
  async #poll() {
    const unheard = (item) => !this.#stream?.live || item.projectId !== this.projectId;
    if (this.#project) await this.#uploads.reconcile({ only: unheard, max: POLL_FILES });
    setTimeout(() => this.#poll(), POLL_MS);
  }

  #visibility() {
    if (document.hidden || this.#lightbox.isOpen) {
      this.#refresh.held = true;
      if (document.hidden) this.#tracker?.flush();
    } else {
      this.#refresh.release();
    }
  }

  #describe(galleryId) {
    $('#code-project').textContent = this.projectId;
    $('#code-gallery').textContent = galleryId;
    $('#code-sample').textContent =
      `curl -H "Authorization: Bearer $EYELINE_KEY" \\\n  ${location.origin}/api/v1/galleries/${galleryId}/images?limit=20`;
  }

  /** Lets go of everything that is open. */
  close() {
    this.#opening++;
    this.#refresh.stop();
    this.#gallery?.close();
    this.#stream?.close();
    this.#tracker?.close();
    this.#project = this.#gallery = this.#stream = this.#tracker = null;
    this.#view.clear();
    for (const id of ['gallery', 'live', 'code', 'newer-order', 'gallery-hint']) $(`#${id}`).hidden = true;
    for (const id of ['gallery-problem', 'tracker-problem', 'gallery-empty', 'gallery-more']) say($(`#${id}`), null);
  }
}
