using System.Globalization;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Tests.Traces;

public sealed class MooncakeTraceTests
{
    private const string Good = """{"timestamp": 5, "input_length": 1000, "output_length": 3, "hash_ids": [0, 14]}""";

    [Fact]
    public void Reads_requests_in_order_and_skips_blank_lines()
    {
        var requests = Read(Good, "", """{"timestamp": 9.0, "input_length": 512, "output_length": 0, "hash_ids": [18446744073709551615]}""");

        Assert.Equal(2, requests.Count);
        Assert.Equal(5, requests[0].TimestampMs);
        Assert.Equal([0UL, 14], requests[0].BlockIds.ToArray());
        Assert.Equal([ulong.MaxValue], requests[1].BlockIds.ToArray());
    }

    [Theory]
    [InlineData(1024, 2)]
    [InlineData(1023, 1)]
    [InlineData(513, 1)]
    public void Only_a_last_block_that_is_full_may_be_stored(int inputLength, int fullBlocks)
    {
        var request = Assert.Single(Read($$"""{"timestamp": 0, "input_length": {{inputLength}}, "output_length": 1, "hash_ids": [1, 2]}"""));

        Assert.Equal(2, request.BlockIds.Length);
        Assert.Equal(fullBlocks, request.FullBlocks);
    }

    [Theory]
    [InlineData("not json", "")]
    [InlineData("[1]", "")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3, "hash_ids": [0, 14""", "")]
    [InlineData("""{"input_length": 1000, "output_length": 3, "hash_ids": [0, 14]}""", "timestamp")]
    [InlineData("""{"timestamp": "5", "input_length": 1000, "output_length": 3, "hash_ids": [0, 14]}""", "timestamp")]
    [InlineData("""{"timestamp": 4, "input_length": 1000, "output_length": 3, "hash_ids": [0, 14]}""", "timestamp")]
    [InlineData("""{"timestamp": 5, "input_length": -1, "output_length": 3, "hash_ids": [0, 14]}""", "input_length")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "hash_ids": [0, 14]}""", "output_length")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3}""", "hash_ids")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3, "hash_ids": 7}""", "hash_ids")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3, "hash_ids": []}""", "hash_ids")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3, "hash_ids": [0, -14]}""", "hash_ids")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3, "hash_ids": [0, 1.5]}""", "hash_ids")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3, "hash_ids": [0, 14, 15]}""", "hash_ids")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3, "tenant": 4, "hash_ids": [0, 14]}""", "tenant")]
    [InlineData("""{"timestamp": 5, "input_length": 1000, "output_length": 3, "tenant": "", "hash_ids": [0, 14]}""", "tenant")]
    public void A_malformed_line_is_named_with_its_field(string line, string field)
    {
        var failure = Assert.Throws<TraceFormatException>(() => Read(Good, "", line));

        Assert.Equal(3, failure.Line);
        Assert.Equal(field, failure.Field);
        Assert.StartsWith("line 3: ", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("n\u001b[2J")]
    [InlineData("\u202e\u009b1m")]
    [InlineData("{\"timestamp\": \"\u009b2J\u202e\", \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1]}")]
    public void What_a_message_quotes_of_a_line_is_short_and_does_nothing_to_a_terminal(string start)
    {
        var line = start.EndsWith('}') ? start : start + new string('x', 100_000);

        var message = Assert.Throws<TraceFormatException>(() => Read(Good, line)).Message;

        Assert.StartsWith("line 2: ", message, StringComparison.Ordinal);
        Assert.InRange(message.Length, 1, 250);
        Assert.DoesNotContain(message, character => char.IsControl(character) || char.GetUnicodeCategory(character) == UnicodeCategory.Format);
    }

    [Fact]
    public void A_value_of_any_length_is_quoted_in_part()
    {
        var line = $$"""{"timestamp": "{{new string('y', 100_000)}}", "input_length": 1, "output_length": 1, "hash_ids": [1]}""";

        Assert.InRange(Assert.Throws<TraceFormatException>(() => Read(line)).Message.Length, 1, 150);
    }

    [Fact]
    public void A_trace_without_requests_is_refused()
    {
        Assert.Throws<TraceFormatException>(() => Read("", " "));
    }

    private static List<PromptRequest> Read(params string[] lines)
    {
        using var reader = new StringReader(string.Join('\n', lines));
        return MooncakeTrace.Read(reader);
    }
}
