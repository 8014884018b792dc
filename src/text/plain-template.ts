export const PLAIN_TEMPLATE_NAME = 'plain';

/** What parts its messages: no special tokens of a tokenizer that was made for another template, and known all the same. */
export const PLAIN_MARKS = ['<|im_start|>', '<|im_end|>'];

/**
 * How a mix that is built without a model prints conversations: the ChatML headers that most templates share, reasoning
 * between think tags, tool calls as JSON. Stands in only where there is neither a model nor a template file.
 */
export const PLAIN_TEMPLATE = `{%- if tools %}
    {{- '<|im_start|>system\\nTools:' }}
    {%- for tool in tools %}{{- '\\n' ~ (tool | tojson) }}{%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' }}
    {%- if message.reasoning_content %}{{- '<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n\\n' }}{%- endif %}
    {{- message.content if message.content else '' }}
    {%- for call in message.tool_calls or [] %}
        {{- '\\n<tool_call>\\n' ~ (call.function | tojson) ~ '\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}`;
