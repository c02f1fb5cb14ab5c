import"./chunk-GJ4W5M43.js";
