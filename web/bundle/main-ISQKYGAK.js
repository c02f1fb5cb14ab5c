import"./chunk-QYFPL6OA.js";
