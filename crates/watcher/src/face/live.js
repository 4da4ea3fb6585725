(() => {
  const by = (id) => document.getElementById(id);
  let heard = Date.now();
  const news = (event) => {
    heard = Date.now();
    by("stale").hidden = true;
    by("main").dataset.live = "yes";
    return event.data;
  };
  const source = new EventSource("/live");
  source.addEventListener("clock", (event) => { by("clock").textContent = news(event); });
  source.addEventListener("main", (event) => {
    by("main").innerHTML = news(event);
    const answer = document.querySelector(".answer");
    document.title = answer.dataset.title;
    const said = answer.querySelector("h2").textContent + ". " + answer.querySelector("p").textContent;
    if (by("said").textContent !== said) by("said").textContent = said;
  });
  setInterval(() => { if (Date.now() - heard > 30000) by("stale").hidden = false; }, 1000);
})();
