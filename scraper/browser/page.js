// What `scraper.browser` asks of a page. Nothing here depends on the name of a class.

const BOX = 60;  // pixels: smaller pictures are icons
const VIEW = 100;  // pixels: smaller pictures are not what a viewer shows

const isShown = element => element.checkVisibility({visibilityProperty: true, opacityProperty: true});

// What a screen reader would say, or the picture in it.
const label = element => (element.getAttribute('aria-label') || element.innerText
    || (element.matches('input') && element.value) || element.querySelector('img')?.alt
    || element.title || '').trim().slice(0, 300);

const linked = element => [element.href || element.src, label(element)];

// Something that changes when the page has changed, and costs little.
const pulse = () => [
    location.href, document.readyState, document.links.length, document.images.length,
    document.scripts.length, document.documentElement.scrollHeight];

const facts = () => {
    const data = [...document.scripts].filter(script => !script.src).map(script => script.text);
    for (const element of document.querySelectorAll('body *'))
        for (const {value} of element.attributes)
            if (/^\s*[{[]/.test(value)) data.push(value);
    const links = [...document.querySelectorAll('a[href], iframe[src]')].map(linked);
    return [[[location.href, ''], ...links], data];
};

const thumbnails = ways => {
    for (const way of ways) {
        const found = [...document.querySelectorAll(way)].filter(element => {
            const box = element.getBoundingClientRect();
            return isShown(element) && box.width >= BOX && box.height >= BOX;
        });
        if (found.length) return found;
    }
    return [];
};

// The box of a thumbnail is the largest element that holds it and no other.
const tiles = ways => {
    const found = thumbnails(ways);
    const held = new Map();
    for (const image of found)
        for (let element = image; element; element = element.parentElement)
            held.set(element, (held.get(element) || 0) + 1);
    return found.map(image => {
        let box = image;
        while (held.get(box.parentElement) === 1 && box.parentElement !== document.body)
            box = box.parentElement;
        const values = [box, ...box.querySelectorAll('*')]
            .flatMap(element => [...element.attributes].map(attribute => attribute.value))
            .filter(value => value.length < 2000);  // no pictures
        const text = [...values, box.innerText].join('\n');
        return {element: image, title: image.alt || '', text};
    });
};

const buttons = ways => {
    const end = Math.max(...thumbnails(ways).map(image => image.getBoundingClientRect().bottom));
    const kinds = 'button, [role=button], input[type=submit], input[type=button], a:not([href]),'
        + 'a[href^="#"], a[href^="javascript:"]';
    const asks = 'form, [role=dialog], [role=alertdialog], [aria-modal=true], [id*=consent i],'
        + '[id*=cookie i], [class*=consent i], [class*=cookie i]';
    return [...document.querySelectorAll(kinds)].filter(isShown).map(element => ({
        element, id: element.id, label: label(element).slice(0, 60),
        form: Object.fromEntries([...element.form?.elements || []]
            .filter(field => field.type === 'hidden').map(field => [field.name, field.value])),
        asking: !!element.closest(asks),
        below: Number.isFinite(end) && element.getBoundingClientRect().top >= end
            && !element.closest('footer, [role=contentinfo]'),
    }));
};

// Where the page, its frames and the links around a thumbnail lead.
const pointers = image => {
    const around = [];
    for (let element = image; element && around.length < 6; element = element.parentElement)
        around.push(element);
    const links = around.filter(element => element.href);
    return [[location.href, ''], ...[...document.querySelectorAll('iframe[src]'), ...links].map(linked)];
};

// The viewer is the largest element that holds the picture, but not the thumbnail that was clicked.
const views = thumbnail => {
    const area = image => image.clientWidth * image.clientHeight;
    const isOnScreen = image => {
        const box = image.getBoundingClientRect();
        return isShown(image) && box.width >= VIEW && box.height >= VIEW && box.bottom > 0
            && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
    };
    return [...document.images]
        .filter(image => image !== thumbnail && image.complete && image.naturalWidth
            && isOnScreen(image))
        .sort((one, other) => area(other) - area(one))
        .map(image => {
            let viewer = image;
            while (viewer.parentElement && !viewer.parentElement.contains(thumbnail))
                viewer = viewer.parentElement;
            return {
                address: image.currentSrc, title: image.alt.trim(),
                width: image.naturalWidth, height: image.naturalHeight,
                text: viewer.innerText || '',
                links: [...viewer.querySelectorAll('a[href]')].filter(isShown).map(linked),
            };
        });
};

const says = (selectors, pattern, whole) => {
    const words = new RegExp(pattern, 'i');
    if (selectors && [...document.querySelectorAll(selectors)].some(isShown)) return true;
    if (!whole) return words.test(document.body?.innerText || '');
    return [...document.querySelectorAll('body *')].some(element => {
        if (element.childElementCount || element.textContent.length > 200) return false;
        const text = element.textContent.trim();
        return text && words.exec(text)?.[0] === text && isShown(element);
    });
};

const center = element => element.scrollIntoView({block: 'center', behavior: 'instant'});

const press = element => {
    const options = {bubbles: true, cancelable: true, view: window};
    for (const kind of ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click'])
        element.dispatchEvent(new MouseEvent(kind, options));
};

const isAboveEnd = () => innerHeight + scrollY < document.documentElement.scrollHeight - 1;

const scrollDown = () =>
    scrollTo({top: document.documentElement.scrollHeight, behavior: 'instant'});
