;;; claimlint.el --- Problems of medical claims as they are typed  -*- lexical-binding: t -*-

;; SPDX-License-Identifier: Apache-2.0
;; Package-Requires: ((emacs "28.1"))

;;; Commentary:

;; A mode for 837P files, and claimlint in it in one of two ways:
;;
;;   (add-hook 'x12-mode-hook #'eglot-ensure)            ; the language server
;;   (add-hook 'x12-mode-hook #'claimlint-flymake-setup) ; the command, which only shows problems

;;; Code:

(require 'flymake)
(require 'subr-x)

(defvar eglot-server-programs)
(defvar eglot-events-buffer-size)
(defvar eglot-events-buffer-config)

(defgroup claimlint nil
  "Problems of medical claims as they are typed."
  :group 'tools)

(defcustom claimlint-command '("claimlint")
  "The program and its first arguments."
  :type '(repeat string))

(defcustom claimlint-check-arguments nil
  "Options of `claimlint check' for flymake, such as --as-of and a day."
  :type '(repeat string))

;;;###autoload
(define-derived-mode x12-mode fundamental-mode "X12"
  "Mode for 837P files.")

;;;###autoload
(progn
  (add-to-list 'auto-mode-alist '("\\.\\(?:837p?\\|x12\\|edi\\)\\'" . x12-mode))
  (add-to-list 'magic-mode-alist '("ISA[^[:alnum:][:space:]]" . x12-mode)))

(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs
               (cons '(x12-mode csv-mode nxml-mode)
                     (lambda (&rest _) (append claimlint-command '("server")))))
  ;; The events are whole documents, and so claims. The first is the name until Emacs 29.
  (setq eglot-events-buffer-size 0
        eglot-events-buffer-config '(:size 0 :format full)))

(defvar-local claimlint--process nil
  "The check of this buffer that is under way.")

(defconst claimlint--finding
  "^.*?:\\([0-9]+\\):\\([0-9]+\\): \\([A-Z0-9]+ \\(error\\|warning\\|info\\): .*\\)$"
  "A line of the concise report.")

(defun claimlint--diagnostics (source)
  "The diagnostics of the buffer SOURCE that the current buffer reports."
  (goto-char (point-min))
  (let (found)
    (while (re-search-forward claimlint--finding nil t)
      (let ((text (match-string 3))
            (kind (pcase (match-string 4) ("error" :error) ("warning" :warning) (_ :note)))
            (region (flymake-diag-region source
                                         (string-to-number (match-string 1))
                                         (string-to-number (match-string 2)))))
        (push (flymake-make-diagnostic source (car region) (cdr region) kind text) found)))
    found))

(defun claimlint-flymake (report &rest _)
  "Check the buffer with `claimlint check', and give its findings to REPORT."
  (when (process-live-p claimlint--process)
    (kill-process claimlint--process))
  (let ((source (current-buffer))
        (out (generate-new-buffer " *claimlint*")))
    (setq claimlint--process
          (make-process
           :name "claimlint" :noquery t :connection-type 'pipe :buffer out
           :command (append claimlint-command
                            (list "check" "-" "--stdin-filename" (or (buffer-file-name) "claims")
                                  "--output-format" "concise" "-q")
                            claimlint-check-arguments)
           :sentinel
           (lambda (process _)
             (when (memq (process-status process) '(exit signal))
               (when (and (buffer-live-p source)
                          (eq process (buffer-local-value 'claimlint--process source)))
                 (if (memq (process-exit-status process) '(0 1))
                     (funcall report (with-current-buffer out (claimlint--diagnostics source)))
                   (funcall report :panic :explanation
                            (with-current-buffer out (string-trim (buffer-string))))))
               (kill-buffer out)))))
    (process-send-region claimlint--process (point-min) (point-max))
    (process-send-eof claimlint--process)))

;;;###autoload
(defun claimlint-flymake-setup ()
  "Show problems in this buffer by `claimlint check', without a language server."
  (add-hook 'flymake-diagnostic-functions #'claimlint-flymake nil t)
  (flymake-mode))

(provide 'claimlint)
;;; claimlint.el ends here
