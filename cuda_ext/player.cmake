# Builds the browser player (viewer/) into a wheel when npm is there. Without it everything else installs, and
# splatalk says what is missing when a page is asked for. An editable installation uses what `make player` builds.
if(SKBUILD_STATE MATCHES "editable")
  return()
endif()
find_program(SPLATALK_NPM npm)
if(NOT SPLATALK_NPM)
  message(WARNING "npm (Node.js) not found: splatalk is installed without its browser player.")
  return()
endif()

set(player_work "${CMAKE_CURRENT_BINARY_DIR}/viewer")
set(player_files "${CMAKE_CURRENT_BINARY_DIR}/player_files")
file(COPY "${CMAKE_CURRENT_SOURCE_DIR}/../viewer/" DESTINATION "${player_work}" PATTERN node_modules EXCLUDE)
execute_process(COMMAND "${SPLATALK_NPM}" ci --ignore-scripts WORKING_DIRECTORY "${player_work}" RESULT_VARIABLE player_failed)
if(player_failed EQUAL 0)
  execute_process(COMMAND "${SPLATALK_NPM}" run build -- "${player_files}" WORKING_DIRECTORY "${player_work}"
                  RESULT_VARIABLE player_failed)
endif()
if(NOT player_failed EQUAL 0)
  message(WARNING "npm could not build the browser player: splatalk is installed without it.")
  return()
endif()
install(DIRECTORY "${player_files}/" DESTINATION splatalk/export/player_files)
