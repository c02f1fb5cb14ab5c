import"./chunk-RCBF5NSH.js";
