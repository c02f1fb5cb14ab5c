/** The texts of the element, in the languages it knows. */

export interface Words {
  gallery: string;
  unnamed: string;
  failed: string;
  retry: string;
  previous: string;
  next: string;
  close: string;
}

const KEYS = ['gallery', 'unnamed', 'failed', 'retry', 'previous', 'next', 'close'] as const;

const LANGUAGES: Record<string, string> = {
  en: 'Pictures|Picture without a name|The pictures could not be loaded.|Try again|Previous|Next|Close',
  ar: 'صور|صورة بلا اسم|تعذّر تحميل الصور.|أعد المحاولة|السابق|التالي|إغلاق',
  de: 'Bilder|Bild ohne Namen|Die Bilder konnten nicht geladen werden.|Erneut versuchen|Zurück|Weiter|Schließen',
  es: 'Imágenes|Imagen sin nombre|No se pudieron cargar las imágenes.|Reintentar|Anterior|Siguiente|Cerrar',
  fr: 'Images|Image sans nom|Impossible de charger les images.|Réessayer|Précédent|Suivant|Fermer',
  he: 'תמונות|תמונה ללא שם|טעינת התמונות נכשלה.|ניסיון נוסף|הקודם|הבא|סגירה',
  it: 'Immagini|Immagine senza nome|Impossibile caricare le immagini.|Riprova|Precedente|Successiva|Chiudi',
  ja: '画像|名前のない画像|画像を読み込めませんでした。|再試行|前へ|次へ|閉じる',
  nl: 'Afbeeldingen|Afbeelding zonder naam|De afbeeldingen konden niet worden geladen.|Opnieuw proberen|Vorige|Volgende|Sluiten',
  pl: 'Obrazy|Obraz bez nazwy|Nie udało się wczytać obrazów.|Spróbuj ponownie|Poprzedni|Następny|Zamknij',
  pt: 'Imagens|Imagem sem nome|Não foi possível carregar as imagens.|Tentar novamente|Anterior|Seguinte|Fechar',
  zh: '图片|未命名的图片|无法加载图片。|重试|上一张|下一张|关闭',
};

/** The words of a language tag such as `de-AT`; English for a language that is not known. */
export function wordsFor(tag: string): Words {
  const language = tag.toLowerCase().split('-')[0]!;
  const words = (LANGUAGES[language] ?? LANGUAGES['en']!).split('|');
  return Object.fromEntries(KEYS.map((key, index) => [key, words[index]])) as unknown as Words;
}
