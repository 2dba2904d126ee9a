// Puts what has changed in its place. The page is whole without: it is then loaded again every few seconds.
"use strict";
(() => {
  const lost = document.getElementById("lost");
  // The token, where the run has one, is in the address.
  const source = new EventSource("updates" + location.search);
  source.addEventListener("parts", (event) => {
    lost.hidden = true;
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      const place = document.getElementById(id);
      if (place) place.innerHTML = html;
    }
  });
  source.addEventListener("over", () => {
    source.close();
    lost.hidden = true;
  });
  // The browser tries again by itself.
  source.addEventListener("error", () => {
    lost.hidden = false;
  });
})();
