using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh config</c>: the options that a node follows.</summary>
internal static class ConfigCommand
{
    public static Command Create(Terminal terminal)
    {
        var section = new Argument<string>("section") { Description = "Only options whose name begins so. Default: all.", Arity = ArgumentArity.ZeroOrOne };
        var changed = new Option<bool>("--changed") { Description = "Only options that are not as they are by default." };
        var connection = new AdminConnection();
        var json = CliOption.Json();
        var command = new Command("config", "Show the options that a node follows, and where each comes from.") { section, changed };
        connection.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            var prefix = parse.GetValue(section) ?? "";
            IReadOnlyList<ConfigurationEntry> entries =
            [
                .. (await admin.GetConfigurationAsync(cancellationToken))
                    .Where(entry => entry.Name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) && (!parse.GetValue(changed) || entry.Value != entry.Default)),
            ];
            if (parse.GetValue(json))
            {
                terminal.WriteJson(entries, AdminJson.Default.IReadOnlyListConfigurationEntry);
            }
            else
            {
                terminal.Screen.Write(Render(entries));
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples("kvmesh config --changed", "kvmesh config Codecs        which codec which blocks get, in which tier");
    }

    private static Table Render(IReadOnlyList<ConfigurationEntry> entries)
    {
        var table = new Table().RoundedBorder().Expand();
        table.AddColumn("option").AddColumn("value").AddColumn("by default").AddColumn("from");
        foreach (var entry in entries)
        {
            table.AddRow(new Text(entry.Name), new Text(entry.Value), new Text(entry.Default), new Text(entry.Source));
        }

        return table;
    }
}
