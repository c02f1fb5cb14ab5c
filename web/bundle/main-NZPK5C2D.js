import"./chunk-VLSFSOF4.js";
