" Vim without a language server: ~/.vim/after/ftplugin/x12.vim (or csv.vim, xml.vim). :make fills the quickfix list.
setlocal errorformat=%f:%l:%c:\ %*\\S\ %t%*[a-z]:\ %m
let &l:makeprg = 'claimlint check - --stdin-filename % --output-format concise -q < %'
