-- What a person does in Neovim: opens a claim file, reads its diagnostics, and takes a correction.
local function say(text) io.stdout:write(text .. "\n") end
local function with(code)
  return vim.tbl_filter(function(d) return d.code == code end, vim.diagnostic.get(0))
end

vim.cmd("edit flagged.837")
local id = vim.lsp.start_client({
  name = "claimlint",
  cmd = { os.getenv("CLAIMLINT_PYTHON"), "-m", "claimlint", "server" },
  root_dir = vim.fn.getcwd(),
  init_options = { asOf = "2026-02-02" },
})
vim.lsp.buf_attach_client(0, id)
vim.wait(60000, function() return #vim.diagnostic.get(0) > 0 end, 50)
for _, d in ipairs(vim.diagnostic.get(0)) do
  say(string.format("%d:%d-%d %s", d.lnum + 1, d.col + 1, d.end_col, d.code))
end

local d = with("COD120")[1]
local range = d.user_data.lsp.range or {
  start = { line = d.lnum, character = d.col },
  ["end"] = { line = d.end_lnum, character = d.end_col },
}
local given = vim.lsp.buf_request_sync(0, "textDocument/codeAction", {
  textDocument = vim.lsp.util.make_text_document_params(),
  range = range,
  context = { diagnostics = {} },
}, 30000)
for _, action in ipairs(given[id].result) do
  if action.title == "COD120: write G0283" then
    vim.lsp.util.apply_workspace_edit(action.edit, vim.lsp.get_client_by_id(id).offset_encoding)
  end
end
say("line: " .. vim.api.nvim_buf_get_lines(0, d.lnum, d.lnum + 1, false)[1])
vim.wait(60000, function() return #with("COD120") == 0 end, 50)
say("left: " .. #vim.diagnostic.get(0))
vim.cmd("qa!")
